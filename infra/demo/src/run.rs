//! One run, from posting the list to the proof. Progress and result are printed to standard output.

use std::io::IsTerminal;

use anyhow::Context;
use chrono::Utc;
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};
use uuid::Uuid;

use crate::{
    api::{Api, NewSchedule, Schedule},
    capacity::CapacityUse,
    carrier::{LimitedCarrier, Sides},
    fairness::Contest,
    gather::prove,
    ledger::Ledger,
    list::{self, List},
    memory::Memory,
    numbers,
    options::Options,
    post::{Posted, post},
    stack::Stack,
    summary::{Summary, grouped},
    view::View,
    watch::until_over,
};

/// A run's connections to the stack.
pub struct Run {
    client: reqwest::Client,
    carrier_origin: String,
    api: Api,
    ledger: Ledger,
    pool: MySqlPool,
    memory: Memory,
    lead_s: u32,
}

impl Run {
    /// Connects to the parts of the stack.
    pub async fn connect(stack: &Stack) -> anyhow::Result<Self> {
        let client = crate::api::http_client()?;
        let url = stack.value("DATABASE_URL")?;
        let pool = MySqlPoolOptions::new()
            .max_connections(1)
            .connect(url)
            .await
            .context("connecting to the database")?;
        Ok(Self {
            api: Api::new(
                client.clone(),
                stack.value("API_URL")?,
                stack.value("API_KEY")?,
            )?,
            ledger: Ledger::new(client.clone(), &stack.carrier_origin()?),
            carrier_origin: stack.carrier_origin()?,
            client,
            pool,
            memory: Memory::of_stack(stack.optional("AWS_ENDPOINT_URL").unwrap_or_default()),
            lead_s: stack.lead_s(),
        })
    }

    /// Executes a run, with a limit of the carrier if there is one. Returns whether the proof
    /// holds.
    pub async fn execute(mut self, options: &Options) -> anyhow::Result<bool> {
        let Some(limit) = options.capacity else {
            return self.send(options, None).await;
        };
        let sides = Sides {
            client: &self.client,
            origin: &self.carrier_origin,
            api: &self.api,
            pool: &self.pool,
        };
        let carrier = LimitedCarrier::set(&sides, limit, options.learn).await?;
        let proven = if options.fair {
            self.share(options, &carrier).await
        } else {
            self.send(options, Some(&carrier)).await
        };
        carrier.restore().await;
        proven
    }

    /// Lets large and small schedules share the carrier, and proves the result of each.
    async fn share(&self, options: &Options, carrier: &LimitedCarrier) -> anyhow::Result<bool> {
        let from = self.ledger.length().await;
        let contest = Contest::post(&self.api, carrier.limit, &options.text).await?;
        let mut last = String::new();
        contest
            .wait(&self.api, options, || {
                let line = carrier.line();
                if line != last {
                    println!("{line}");
                    last = line;
                }
            })
            .await?;
        let fairness = contest.measure(&self.pool).await?;
        print!("\n{fairness}");
        let mut holds = fairness.holds();
        for id in contest.ids() {
            let proof = prove(&self.pool, &self.ledger, from, id).await?;
            if !proof.findings.holds() {
                println!("  WRONG: schedule {id}: {:?}", proof.findings.by_kind());
                holds = false;
            }
        }
        Ok(holds)
    }

    /// Posts the schedule, watches it and proves its result. Returns whether the proof holds.
    async fn send(
        &mut self,
        options: &Options,
        carrier: Option<&LimitedCarrier>,
    ) -> anyhow::Result<bool> {
        let from = self.ledger.length().await;
        let posted = self.post(options).await?;
        let id = posted.schedule.id;
        let over = self.watch(id, options, carrier).await?;
        self.memory.sample();
        println!(
            "\nSchedule    {id}, {} recipients",
            grouped(over.recipients.total)
        );
        let proof = prove(&self.pool, &self.ledger, from, id).await?;
        print!(
            "{}",
            Summary {
                proof: &proof,
                highest_kb: self.memory.highest_kb()
            }
        );
        let Some(carrier) = carrier else {
            return Ok(proof.findings.holds());
        };
        let requests = carrier.requests().await?;
        let used = CapacityUse::new(carrier.limit, carrier.is_learned, &proof.findings, requests);
        print!("{used}");
        Ok(proof.findings.holds() && used.holds())
    }

    async fn post(&mut self, options: &Options) -> anyhow::Result<Posted> {
        let (list, count) = read_list(options)?;
        let run_at = options.run_at(Utc::now(), self.lead_s, count);
        let schedule = NewSchedule {
            // A list from a file may have invalid numbers, which are shown; a generated list has
            // none.
            on_invalid: if options.file.is_some() {
                "skip"
            } else {
                "reject"
            },
            max_attempts: options.max_attempts,
            sender: options.sender.clone(),
            ..NewSchedule::new(run_at, &options.text, Vec::new())
        };
        let (memory, terminal) = (
            std::cell::RefCell::new(&mut self.memory),
            std::io::stdout().is_terminal(),
        );
        let posted = post(&self.api, schedule, list, |count| {
            memory.borrow_mut().sample();
            let (begin, end) = if terminal { ("\r", "") } else { ("", "\n") };
            print!("{begin}posted {}{end}", grouped(count));
            let _ = std::io::Write::flush(&mut std::io::stdout());
        });
        let posted = posted.await?;
        self.memory.sample();
        print_posted(&posted, options);
        anyhow::ensure!(
            posted.schedule.recipients.total > 0,
            "the list holds no valid number"
        );
        Ok(posted)
    }

    async fn watch(
        &mut self,
        id: Uuid,
        options: &Options,
        carrier: Option<&LimitedCarrier>,
    ) -> anyhow::Result<Schedule> {
        let mut view = View::default();
        let memory = &mut self.memory;
        let over = until_over(&self.api, id, options.stall_timeout, |schedule| {
            view.note = carrier.map_or_else(String::new, LimitedCarrier::line);
            view.show(schedule);
            memory.sample();
        });
        over.await
    }
}

/// Returns the list and its length.
fn read_list(options: &Options) -> anyhow::Result<(List, u64)> {
    if let Some(file) = &options.file {
        // The file is read twice, first only to count its numbers: the count determines the time of
        // the schedule, and a file of any size takes no memory.
        return Ok((
            list::from_file(file)?,
            list::from_file(file)?.count() as u64,
        ));
    }
    let start = options
        .start
        .unwrap_or_else(|| numbers::start(Utc::now().timestamp() as u64));
    Ok((list::generated(start, options.count), options.count))
}

fn print_posted(posted: &Posted, options: &Options) {
    let Posted {
        schedule,
        took,
        calls,
    } = posted;
    let (totals, seconds) = (schedule.recipients, took.as_secs_f64());
    let entries = totals.total + totals.duplicates + totals.invalid;
    let speed = grouped((entries as f64 / seconds.max(0.001)) as u64);
    println!(
        "\rPosted      {} numbers in {seconds:.1} s ({speed} per second, {calls} calls): {} recipients, {} invalid, {} duplicates",
        grouped(entries),
        grouped(totals.total),
        grouped(totals.invalid),
        grouped(totals.duplicates)
    );
    println!(
        "Schedule    {}, due at {}, {} characters of text",
        schedule.id,
        schedule.run_at,
        options.text.chars().count()
    );
}

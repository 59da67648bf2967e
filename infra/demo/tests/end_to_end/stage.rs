//! Shared code of the end-to-end tests: connections to the stack, numbers per test, and posting,
//! watching and proving a schedule.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use demo::{
    api::{Api, NewSchedule, Schedule, http_client},
    aws,
    gather::{Proof, prove},
    ledger::Ledger,
    stack::Stack,
    summary::{Summary, Times},
    watch::until_over,
};
use sqlx::{MySqlPool, mysql::MySqlPoolOptions};
use uuid::Uuid;

/// The maximum time without a change, long enough for two sweeps.
const STALL_TIMEOUT: Duration = Duration::from_secs(130);

/// The running stack.
pub struct Stage {
    pub stack: Stack,
    pub api: Api,
    pub pool: MySqlPool,
    pub http: reqwest::Client,
    ledger: Ledger,
    ledger_from: u64,
}

impl Stage {
    /// Connects to the stack. Fails if there is none.
    pub async fn connect() -> Self {
        let stack = Stack::from_environment().expect("a running stack");
        let http = http_client().unwrap();
        let pool = MySqlPoolOptions::new()
            .max_connections(2)
            .connect(stack.value("DATABASE_URL").unwrap());
        let pool = pool.await.expect("the stack's database");
        let api = Api::new(
            http.clone(),
            stack.value("API_URL").unwrap(),
            stack.value("API_KEY").unwrap(),
        )
        .unwrap();
        let ledger = Ledger::new(http.clone(), &stack.carrier_origin().unwrap());
        let ledger_from = ledger.length().await;
        Self {
            stack,
            api,
            pool,
            http,
            ledger,
            ledger_from,
        }
    }

    /// Returns a time `after_s` to `after_s + 1` seconds from now, at a whole second.
    pub fn soon(after_s: i64) -> DateTime<Utc> {
        (Utc::now() + TimeDelta::seconds(after_s + 1))
            .duration_trunc(TimeDelta::seconds(1))
            .unwrap()
    }

    /// Returns a time that is late enough for EventBridge. A schedule that is due sooner than five
    /// seconds after the lead is dispatched through the queue.
    pub fn time_for_eventbridge(&self) -> DateTime<Utc> {
        Self::soon(i64::from(self.stack.lead_s()) + 10)
    }

    /// Posts a schedule.
    pub async fn post(
        &self,
        run_at: DateTime<Utc>,
        message: &str,
        numbers: Vec<String>,
    ) -> Schedule {
        self.api
            .create(&NewSchedule::new(run_at, message, numbers))
            .await
            .unwrap()
    }

    /// Waits until the schedule is over.
    pub async fn over(&self, id: Uuid) -> Schedule {
        until_over(&self.api, id, STALL_TIMEOUT, |_| ())
            .await
            .unwrap()
    }

    /// Waits until the schedule is over and compares the rows with the ledger.
    pub async fn prove(&self, id: Uuid) -> Proof {
        self.over(id).await;
        let proof = prove(&self.pool, &self.ledger, self.ledger_from, id)
            .await
            .unwrap();
        let summary = Summary {
            proof: &proof,
            highest_kb: &std::collections::BTreeMap::new(),
        }
        .to_string();
        assert_eq!(proof.no_ledger, None, "the tests' carrier keeps a ledger");
        assert!(proof.findings.holds(), "{summary}");
        let times = Times::of(&proof.case);
        assert!(
            times.first_sent_ms.is_none_or(|ms| ms >= 0),
            "sent before run_at\n{summary}"
        );
        proof
    }

    /// Waits until the schedule is over. Asserts that each recipient received the text once and
    /// that the proof holds.
    pub async fn prove_delivered(&self, id: Uuid, recipients: u64) -> Proof {
        let proof = self.prove(id).await;
        let schedule = self.api.schedule(id).await.unwrap();
        assert_eq!(
            (schedule.status.as_str(), schedule.count("DELIVRD")),
            ("finished", recipients),
            "{schedule:?}"
        );
        assert_eq!(proof.findings.accepted_attempts, recipients);
        assert_eq!(proof.findings.cut, 0);
        proof
    }

    /// Creates a client of the stack's SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws::sqs(&self.stack).unwrap()
    }

    /// Creates a client of the stack's EventBridge Scheduler.
    pub fn scheduler(&self) -> aws_sdk_scheduler::Client {
        aws::scheduler(&self.stack).unwrap()
    }
}

/// Returns `count` numbers of a slot: `+6012`, the slot's digit, then an index that differs from
/// that of a run some seconds later.
pub fn numbers(slot: u32, count: u32) -> Vec<String> {
    assert!(slot < 10 && count <= 10_000);
    let start = Utc::now().timestamp() as u32 % 9_000 * 110;
    (start..start + count)
        .map(|at| format!("+6012{slot}{at:06}"))
        .collect()
}

/// Returns how long after `run_at` the first message was sent, in milliseconds.
pub fn first_sent_ms(proof: &Proof) -> i64 {
    Times::of(&proof.case)
        .first_sent_ms
        .expect("something was sent")
}

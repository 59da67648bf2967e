//! What every test needs: the stack's parts, numbers of its own, and a schedule watched to its end and proven.

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

/// Long enough for two sweeps.
const PATIENCE: Duration = Duration::from_secs(130);

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
    /// Connects to the stack, or fails.
    pub async fn enter() -> Self {
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

    /// The `after_s`-th second from now on, whole.
    pub fn soon(after_s: i64) -> DateTime<Utc> {
        (Utc::now() + TimeDelta::seconds(after_s + 1))
            .duration_trunc(TimeDelta::seconds(1))
            .unwrap()
    }

    /// A time far enough ahead for EventBridge: what is due sooner than five seconds after the lead goes by the queue.
    pub fn in_time_for_eventbridge(&self) -> DateTime<Utc> {
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

    /// Waits until nothing more will happen.
    pub async fn over(&self, id: Uuid) -> Schedule {
        until_over(&self.api, id, PATIENCE, |_| ()).await.unwrap()
    }

    /// Waits for the end, and holds the rows against the ledger.
    pub async fn prove(&self, id: Uuid) -> Proof {
        self.over(id).await;
        let proof = prove(&self.pool, &self.ledger, self.ledger_from, id)
            .await
            .unwrap();
        let told = Summary {
            proof: &proof,
            highest_kb: &std::collections::BTreeMap::new(),
        }
        .to_string();
        assert_eq!(
            proof.no_ledger, None,
            "the carrier of the tests keeps a ledger"
        );
        assert!(proof.findings.holds(), "{told}");
        let times = Times::of(&proof.case);
        assert!(
            times.first_sent_ms.is_none_or(|ms| ms >= 0),
            "sent before its time\n{told}"
        );
        proof
    }

    /// Waits for the end: everybody got the text once, and the proof holds.
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

    /// The stack's SQS.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws::sqs(&self.stack).unwrap()
    }

    /// The stack's EventBridge Scheduler.
    pub fn scheduler(&self) -> aws_sdk_scheduler::Client {
        aws::scheduler(&self.stack).unwrap()
    }
}

/// `count` numbers of a slot's own: `+6012`, the slot's digit, then a place that another run some seconds later doesn't share.
pub fn numbers(slot: u32, count: u32) -> Vec<String> {
    assert!(slot < 10 && count <= 10_000);
    let start = Utc::now().timestamp() as u32 % 9_000 * 110;
    (start..start + count)
        .map(|at| format!("+6012{slot}{at:06}"))
        .collect()
}

/// How long after `run_at` the first message went out, in milliseconds.
pub fn first_sent_ms(proof: &Proof) -> i64 {
    Times::of(&proof.case)
        .first_sent_ms
        .expect("something was sent")
}

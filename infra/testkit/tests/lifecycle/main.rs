//! A schedule's lifecycle as a state machine, under random operations: API calls, also during a
//! worker's pass, lost messages, messages that arrive twice, and the passage of time. A model
//! predicts what each call for a recipient, each appended list and each resend does. The test
//! asserts that:
//! - the schedule only makes transitions that the state table allows, and nothing before its start;
//! - the count of sent messages that a pause or a cancel returns agrees with the carrier's ledger;
//! - what is answered as in time is so: nothing is sent to a cancelled recipient, or to a number
//!   that was replaced; a reference names exactly the recipients that have it;
//! - a schedule that sends again has those who got nothing, each once;
//! - the counts by group add up, polls for changes miss none, and the summary counts what ended;
//! - at the end each recipient has received the message once, or is cancelled;
//! - a webhook receives each of the calls' events and each recipient's final status once, and so
//!   each webhook of the key's own and each callback while it is theirs to see, and no other;
//! - in calls for several recipients each entry has the predicted outcome, and calls by label move
//!   exactly the schedules that have it;
//! - a decision about an UNCERTAIN message is final, and only what was to be sent again is;
//! - where an approval is needed, nothing waits for its time, begins or is sent unless a second person
//!   has approved exactly that, whatever changes before, meanwhile or later;
//! - what is sent is counted in the budget of the day, and is never more than that allows.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod approvals;
mod budget;
mod bulk;
mod calls;
mod checks;
mod companions;
mod coverage;
mod decisions;
mod defects;
mod end;
mod finish;
#[path = "../gate/mod.rs"]
mod gate;
mod late_change;
mod lifecycle;
mod limits;
mod model;
mod reads;
mod recipients;
mod resends;
mod script;
mod states;
mod subscribers;

use std::sync::atomic::{AtomicU32, Ordering};

use lambda_http::lambda_runtime::tracing::subscriber;
use proptest::{
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use sqlx::MySqlPool;

use lifecycle::Lifecycle;
use limits::{LimitStep, Limits};
use states::{Call, Step, Weather, weather};

/// The number of random sequences, unless `LIFECYCLE_SEQUENCES` is set: a quarter for each
/// combination of limits.
const SEQUENCES: u32 = 12;
/// How often so many are run at most, until each thing was reached that a run has to reach: one time
/// in some, chance leaves one out.
const ROUNDS: u32 = 6;
/// How often a sequence that fails is made shorter, unless `LIFECYCLE_SHRINKS` is set.
const SHRINKS: u32 = 100;

/// Prints what the functions log as errors, with a failure of the test: the cause of an answer 500.
fn print_errors() {
    let lines = subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_test_writer()
        .finish();
    // It is set already if several tests share the process.
    tracing::subscriber::set_global_default(lines).ok();
}

fn setting(name: &str, usual: u32) -> u32 {
    let set = std::env::var(name).ok();
    set.map_or(usual, |set| set.parse().unwrap())
}

/// A random sequence.
#[derive(Debug)]
struct Sequence {
    with_window: bool,
    weather: Weather,
    first: Vec<Step>,
    steps: Vec<Step>,
}

/// Returns random sequences. Most schedules are activated, and approved, before anything else
/// happens, and many are sent.
fn sequence(limits: Limits) -> impl Strategy<Value = Sequence> {
    let beginning = (
        proptest::bool::weighted(0.9),
        proptest::bool::weighted(0.8),
        2_u64..9,
        proptest::bool::weighted(0.7),
    );
    let beginning = beginning.prop_map(move |(activated, approved, amount, sent)| {
        let mut steps = Vec::new();
        steps.extend(activated.then_some(Step::Call(Call::Activate)));
        let approves = limits.approvals && approved;
        steps.extend(approves.then_some(Step::Limit(LimitStep::ReadAndApprove)));
        let budget = Step::Limit(LimitStep::Budget(amount));
        steps.extend(limits.budgets.then_some(budget));
        if sent {
            steps.extend([Step::Wait(100), Step::Sweep, Step::Work { twice: false }]);
        }
        steps
    });
    let all = (
        proptest::bool::weighted(0.3),
        prop_oneof![3 => weather(), 2 => Just(Weather::AnswersLost)],
        beginning,
        proptest::collection::vec(limits.step(), 15..55),
    );
    all.prop_map(|(with_window, weather, first, steps)| Sequence {
        with_window,
        weather,
        first,
        steps,
    })
}

async fn run(pool: &MySqlPool, limits: Limits, sequence: &Sequence) -> Result<(), TestCaseError> {
    let mut lifecycle = Lifecycle::new(pool, sequence.with_window, limits).await;
    lifecycle.change_weather(sequence.weather);
    for step in sequence.first.iter().chain(&sequence.steps) {
        lifecycle.step(step).await?;
    }
    lifecycle.check_end().await
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn no_sequence_of_calls_leaves_the_state_table_or_loses_a_recipient(pool: MySqlPool) {
    print_errors();
    let (handle, executed) = (tokio::runtime::Handle::current(), AtomicU32::new(0));
    let run_all = move || {
        for _ in 0..ROUNDS {
            for limits in Limits::ALL {
                let mut runner = TestRunner::new(ProptestConfig {
                    cases: setting("LIFECYCLE_SEQUENCES", SEQUENCES).div_ceil(4),
                    max_shrink_iters: setting("LIFECYCLE_SHRINKS", SHRINKS),
                    failure_persistence: None,
                    ..Default::default()
                });
                let result = runner.run(&sequence(limits), |sequence| {
                    executed.fetch_add(1, Ordering::Relaxed);
                    handle.block_on(run(&pool, limits, &sequence))
                });
                result.map_err(|error| {
                    format!("{limits:?}, after {executed:?} sequences: {error}")
                })?;
            }
            if coverage::missing().is_empty() {
                break;
            }
        }
        Ok::<_, String>(())
    };
    if let Err(error) = tokio::task::spawn_blocking(run_all).await.unwrap() {
        panic!("{error}");
    }
    assert_eq!(coverage::missing(), Vec::<&str>::new(), "not reached");
}

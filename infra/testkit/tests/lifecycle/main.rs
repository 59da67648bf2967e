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
//! - a decision about an UNCERTAIN message is final, and only what was to be sent again is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

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
mod lifecycle;
mod model;
mod reads;
mod recipients;
mod resends;
mod states;
mod subscribers;

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::MySqlPool;

use lifecycle::Lifecycle;
use states::{Call, Step, step, weather};

/// The number of random sequences, unless `LIFECYCLE_SEQUENCES` is set.
const SEQUENCES: u32 = 12;
/// How often a sequence that fails is made shorter, unless `LIFECYCLE_SHRINKS` is set.
const SHRINKS: u32 = 100;

fn setting(name: &str, usual: u32) -> u32 {
    let set = std::env::var(name).ok();
    set.map_or(usual, |set| set.parse().unwrap())
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn no_sequence_of_calls_leaves_the_state_table_or_loses_a_recipient(pool: MySqlPool) {
    let (handle, executed) = (tokio::runtime::Handle::current(), AtomicU32::new(0));
    let run = move || {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: setting("LIFECYCLE_SEQUENCES", SEQUENCES),
            max_shrink_iters: setting("LIFECYCLE_SHRINKS", SHRINKS),
            failure_persistence: None,
            ..Default::default()
        });
        // Most schedules are activated before anything else happens, and many are sent.
        let steps = (
            proptest::bool::weighted(0.9),
            proptest::bool::weighted(0.3),
            weather(),
            proptest::bool::weighted(0.5),
            proptest::collection::vec(step(), 15..55),
        );
        let result = runner.run(
            &steps,
            |(activated, with_window, weather, is_sent, steps)| {
                executed.fetch_add(1, Ordering::Relaxed);
                handle.block_on(async {
                    let mut lifecycle = Lifecycle::new(&pool, with_window).await;
                    lifecycle.change_weather(weather);
                    if activated {
                        lifecycle.step(&Step::Call(Call::Activate)).await?;
                    }
                    if is_sent {
                        for step in [Step::Wait(100), Step::Sweep, Step::Work { twice: false }] {
                            lifecycle.step(&step).await?;
                        }
                    }
                    for step in steps {
                        lifecycle.step(&step).await?;
                    }
                    lifecycle.check_end().await
                })
            },
        );
        result.map_err(|error| format!("after {executed:?} executed sequences: {error}"))
    };
    if let Err(error) = tokio::task::spawn_blocking(run).await.unwrap() {
        panic!("{error}");
    }
    assert_eq!(coverage::missing(), Vec::<&str>::new(), "not reached");
}

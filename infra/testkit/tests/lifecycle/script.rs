//! One sequence that is always the same: it reaches what random ones may not reach in a run.

use sqlx::MySqlPool;

use super::{
    lifecycle::Lifecycle,
    limits::Limits,
    states::{Call, Step, Subscription},
};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_fixed_sequence_reaches_what_random_ones_seldom_do(pool: MySqlPool) {
    let mut lifecycle = Lifecycle::new(&pool, false, Limits::default()).await;
    for step in [
        Step::Call(Call::Activate),
        Step::Wait(100),
        Step::Sweep,
        Step::Work { twice: false },
    ] {
        lifecycle.step(&step).await.unwrap();
    }
    lifecycle.finish().await.unwrap();
    // Those who got nothing are copied in several transactions, the third of three in a row too.
    let steps = [
        Step::Resend { draft: true },
        Step::Subscribe(Subscription::Callback(Some(false))),
        Step::Call(Call::Activate),
        // The label of all but one of the schedules.
        Step::Call(Call::PauseLabel),
        Step::Call(Call::ResumeLabel),
        // Without the permission the webhooks of the key end, and none comes back by itself.
        Step::Subscribe(Subscription::Grant(false)),
        Step::Subscribe(Subscription::Enable(0, true)),
        Step::Subscribe(Subscription::Grant(true)),
        Step::Subscribe(Subscription::Enable(0, true)),
    ];
    for step in &steps {
        let done = lifecycle.step(step).await;
        done.unwrap_or_else(|error| panic!("{step:?}: {error}"));
    }
    lifecycle.check_end().await.unwrap();
}

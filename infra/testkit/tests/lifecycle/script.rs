//! Two sequences that are always the same: they reach what random ones may not reach in a run.

use sqlx::MySqlPool;

use super::{
    lifecycle::Lifecycle,
    limits::{LimitStep, Limits},
    states::{By, Call, OnDuplicate, RecipientCall, Step, Subscription, What},
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

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_fixed_sequence_of_approvals_and_changes(pool: MySqlPool) {
    let mut lifecycle = Lifecycle::new(&pool, false, Limits::of(true, false)).await;
    let change = |what| {
        Step::Recipient(RecipientCall {
            what,
            by: By::Seq,
            place: 0,
        })
    };
    let append = Call::Append(OnDuplicate::Skip, 3);
    let (waits, approved) = ("awaiting-approval", "scheduled");
    for (step, expected) in [
        (Step::Call(Call::Activate), waits),
        (Step::Limit(LimitStep::Read), waits),
        (Step::Call(Call::Text), waits),
        // It has read another text.
        (Step::Limit(LimitStep::Approve), waits),
        (Step::Limit(LimitStep::ReadAndApprove), approved),
        (Step::Call(append), waits),
        (Step::Limit(LimitStep::Reject), "draft"),
        (Step::Call(Call::Activate), waits),
        (Step::Limit(LimitStep::ReadAndApprove), approved),
        (change(What::Number), waits),
        (Step::Limit(LimitStep::ReadAndApprove), approved),
        (Step::Call(Call::Window(0)), waits),
        (Step::Limit(LimitStep::ReadAndApprove), approved),
        // These change nothing of what is sent, or leave somebody out.
        (Step::Call(Call::Rate), approved),
        (change(What::Cancel), approved),
        (Step::Call(Call::Pause), "paused"),
        (Step::Call(Call::Resume), approved),
        (Step::Wait(100), approved),
        (Step::Sweep, "running"),
        // It has begun.
        (change(What::Group(1)), "running"),
        (Step::Work { twice: false }, "running"),
    ] {
        let done = lifecycle.step(&step).await;
        done.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        assert_eq!(lifecycle.status().await, expected, "after {step:?}");
    }
    lifecycle.check_end().await.unwrap();
}

//! What may befall a function's process, at exactly the place where it hurts.

use std::time::Duration;

use anyhow::ensure;
use shared::platform::fault::Point;

use super::{
    Fault, How, One,
    points::{Action, KILL, Order},
    queues,
};

/// A crash that leaves everybody certain.
const fn fault(
    name: &'static str,
    what: &'static str,
    how: fn(One) -> super::BoxFuture<'static, anyhow::Result<()>>,
) -> Fault {
    Fault {
        name,
        what,
        recipients: 500,
        lead_s: 4,
        uncertain: Some(0),
        how: How::Each(how),
    }
}

/// A crash that leaves uncertain what was on the wire: two requests of a hundred, of five.
const fn in_flight(
    name: &'static str,
    what: &'static str,
    how: fn(One) -> super::BoxFuture<'static, anyhow::Result<()>>,
) -> Fault {
    Fault {
        uncertain: Some(200),
        ..fault(name, what, how)
    }
}

pub(super) fn faults() -> Vec<Fault> {
    vec![
        fault(
            "killed-after-claim",
            "send is killed when it has claimed a batch",
            |one| once(one, Point::Claimed, KILL),
        ),
        in_flight(
            "killed-after-mark",
            "send is killed when it has marked, before any request",
            |one| once(one, Point::Marked, KILL),
        ),
        in_flight(
            "killed-in-flight",
            "send is killed while two requests are on the wire",
            |one| {
                once(
                    one,
                    Point::InFlight,
                    Action::Kill {
                        after: Duration::from_millis(150),
                    },
                )
            },
        ),
        in_flight(
            "killed-before-record",
            "send is killed with the carrier's answer in its hands",
            |one| once(one, Point::Answered, KILL),
        ),
        fault(
            "killed-before-release",
            "send is killed when everything is recorded, before the release",
            |one| once(one, Point::Recorded, KILL),
        ),
        fault(
            "killed-before-enqueue",
            "send is killed after the release, before it enqueues the recheck",
            |one| once(one, Point::Released, KILL),
        ),
        fault(
            "killed-recheck",
            "recheck is killed with the carrier's answers in its hands",
            |one| once(one, Point::Asked, KILL),
        ),
        fault(
            "killed-dispatch-after-cut",
            "dispatch is killed when the cut is committed, nothing enqueued",
            |one| once(one, Point::Cut, KILL),
        ),
        fault(
            "killed-dispatch-after-enqueue",
            "dispatch is killed when the messages are out, not marked so",
            |one| once(one, Point::Enqueued, KILL),
        ),
        in_flight(
            "killed-twice",
            "killed after the claim, and its successor in flight",
            |one| Box::pin(twice(one)),
        ),
        in_flight(
            "timed-out",
            "send hangs with answers in its hands until Lambda ends it",
            |one| once(one, Point::Answered, Action::Hold(Duration::from_secs(9))),
        ),
        in_flight("panicked", "send panics with answers in its hands", |one| {
            once(one, Point::Answered, Action::Panic)
        }),
        fault(
            "two-at-once",
            "several sends get the same batch at the same time",
            |one| Box::pin(two_at_once(one)),
        ),
        fault(
            "killed-three-times",
            "three claims die: the batch is parked, and a person has it tried again",
            |one| Box::pin(parked(one)),
        ),
    ]
}

fn once(one: One, point: Point, action: Action) -> super::BoxFuture<'static, anyhow::Result<()>> {
    one.world.points.order(
        one.id,
        Order {
            point,
            action,
            times: 1,
        },
    );
    Box::pin(async move { one.world.step(one.id, "activate").await.map(drop) })
}

async fn twice(one: One) -> anyhow::Result<()> {
    one.world.points.order(
        one.id,
        Order {
            point: Point::Claimed,
            action: KILL,
            times: 1,
        },
    );
    let action = Action::Kill {
        after: Duration::from_millis(150),
    };
    one.world.points.order(
        one.id,
        Order {
            point: Point::InFlight,
            action,
            times: 1,
        },
    );
    one.world.step(one.id, "activate").await.map(drop)
}

async fn two_at_once(one: One) -> anyhow::Result<()> {
    let One { world, id, .. } = &one;
    world.points.order(
        *id,
        Order {
            point: Point::Claimed,
            action: Action::Hold(Duration::from_millis(700)),
            times: 1,
        },
    );
    world.step(*id, "activate").await?;
    ensure!(
        world.wait_for(*id, "s.status = 'running'").await?,
        "it did not start"
    );
    for _ in 0..4 {
        queues::deliver_again(world, *id).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

async fn parked(one: One) -> anyhow::Result<()> {
    let One { world, id, .. } = &one;
    world.points.order(
        *id,
        Order {
            point: Point::Claimed,
            action: KILL,
            times: 3,
        },
    );
    world.step(*id, "activate").await?;
    let parked = "EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = s.id AND b.crashes >= 3 AND b.claimed_until < UTC_TIMESTAMP(3))";
    ensure!(
        world.wait_for(*id, parked).await? || world.wait_for(*id, parked).await?,
        "it was not parked"
    );
    let answer = world.step(*id, "retry").await?;
    ensure!(
        answer.to_string().contains('1'),
        "retry did nothing: {answer}"
    );
    Ok(())
}

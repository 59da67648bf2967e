//! What people do at the worst moment.

use std::time::Duration;

use anyhow::ensure;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use super::{BoxFuture, Fault, How, One, world::until};

const fn fault(
    name: &'static str,
    what: &'static str,
    lead_s: i64,
    how: fn(One) -> BoxFuture<'static, anyhow::Result<()>>,
) -> Fault {
    Fault {
        name,
        what,
        recipients: 1200,
        lead_s,
        uncertain: Some(0),
        how: How::Each(how),
    }
}

pub(super) fn faults() -> Vec<Fault> {
    vec![
        fault(
            "people-cancel",
            "a schedule is cancelled while it goes out",
            4,
            |one| Box::pin(cancel(one)),
        ),
        fault(
            "people-pause",
            "it is paused and resumed, again and again, while it goes out",
            4,
            |one| Box::pin(pause(one)),
        ),
        fault(
            "people-append",
            "recipients are appended while it is cut",
            4,
            |one| Box::pin(append(one)),
        ),
        fault(
            "people-reschedule",
            "its time is changed while it is cut",
            24,
            |one| Box::pin(reschedule(one)),
        ),
    ]
}

async fn cancel(one: One) -> anyhow::Result<()> {
    let One {
        world,
        id,
        run_at,
        mut random,
    } = one;
    world.step(id, "activate").await?;
    until(run_at + TimeDelta::milliseconds(random.i64(-500..1500))).await;
    let answer = world.step(id, "cancel").await;
    // A schedule that had ended by then can't be cancelled.
    ensure!(
        answer.is_ok() || world.wait_for(id, "s.status = 'finished'").await?,
        "{answer:?}"
    );
    Ok(())
}

async fn pause(one: One) -> anyhow::Result<()> {
    let One {
        world,
        id,
        run_at,
        mut random,
    } = one;
    world.step(id, "activate").await?;
    until(run_at + TimeDelta::milliseconds(random.i64(-1500..500))).await;
    for _ in 0..3 {
        let paused = world.step(id, "pause").await;
        tokio::time::sleep(Duration::from_millis(random.u64(0..1200))).await;
        if paused.is_ok() {
            world.step(id, "resume").await?;
        }
        tokio::time::sleep(Duration::from_millis(random.u64(0..800))).await;
    }
    Ok(())
}

async fn append(one: One) -> anyhow::Result<()> {
    let One {
        world,
        id,
        run_at,
        mut random,
    } = one;
    world.step(id, "activate").await?;
    // It is due within the lead, so the cut comes at once: these calls race with it.
    let _ = run_at;
    for _ in 0..6 {
        let numbers: Vec<_> = (0..20)
            .map(|_| format!("+6019{:07}", random.u32(1_000_000..9_999_999)))
            .collect();
        let body = json!({ "recipients": numbers });
        let (status, answer) = world
            .call(
                Method::POST,
                &format!("/v1/schedules/{id}/recipients"),
                Some(body),
            )
            .await?;
        ensure!(
            matches!(status, 200 | 409),
            "append answered {status}: {answer}"
        );
    }
    Ok(())
}

async fn reschedule(one: One) -> anyhow::Result<()> {
    let One {
        world,
        id,
        run_at,
        mut random,
    } = one;
    world.step(id, "activate").await?;
    // The lead is 20 s, and EventBridge fires up to 10 s late: the changes race with the cut.
    until(run_at - TimeDelta::seconds(21)).await;
    for _ in 0..6 {
        let time = run_at + TimeDelta::seconds(random.i64(0..4));
        let (status, answer) = world
            .call(
                Method::PATCH,
                &format!("/v1/schedules/{id}"),
                Some(json!({ "run_at": time })),
            )
            .await?;
        ensure!(
            matches!(status, 200 | 409),
            "the change answered {status}: {answer}"
        );
        tokio::time::sleep(Duration::from_millis(random.u64(0..700))).await;
    }
    Ok(())
}

//! What EventBridge may do: never fire, fire twice, fire late, fire for a schedule that has moved on.

use anyhow::ensure;
use chrono::TimeDelta;

use super::{BoxFuture, Fault, How, One, World, world::until};

/// Later than the lead of the chaos settings, 20 s: only then a one-time schedule is made.
const LEAD_S: i64 = 28;

const fn fault(
    name: &'static str,
    what: &'static str,
    how: fn(One) -> BoxFuture<'static, anyhow::Result<()>>,
) -> Fault {
    Fault {
        name,
        what,
        recipients: 60,
        lead_s: LEAD_S,
        uncertain: Some(0),
        how: How::Each(how),
    }
}

pub(super) fn faults() -> Vec<Fault> {
    vec![
        fault(
            "eventbridge-never",
            "the one-time schedule never fires",
            |one| Box::pin(never(one)),
        ),
        fault(
            "eventbridge-thrice",
            "it fires three times, at once and later",
            |one| Box::pin(thrice(one)),
        ),
        fault(
            "eventbridge-late",
            "it fires three seconds after the time",
            |one| Box::pin(late(one)),
        ),
        fault(
            "eventbridge-paused",
            "it fires for a paused schedule, which is resumed later",
            |one| Box::pin(paused(one)),
        ),
        fault(
            "eventbridge-cancelled",
            "it fires for a cancelled schedule",
            |one| Box::pin(cancelled(one)),
        ),
        fault(
            "eventbridge-old-version",
            "it fires for a time that has been changed",
            |one| Box::pin(old_version(one)),
        ),
    ]
}

/// Takes the one-time schedule away.
async fn forget(world: &World, one: &One) -> anyhow::Result<()> {
    let group = world.stack.value("SCHEDULE_GROUP")?;
    let suffix = format!("-{}-1", one.id);
    for page in 0..50 {
        let found = world
            .scheduler
            .list_schedules()
            .group_name(group)
            .max_results(100)
            .send()
            .await?;
        let name = found
            .schedules()
            .iter()
            .filter_map(|schedule| schedule.name())
            .find(|name| name.ends_with(&suffix));
        if let Some(name) = name {
            world
                .scheduler
                .delete_schedule()
                .group_name(group)
                .name(name)
                .send()
                .await?;
            return Ok(());
        }
        ensure!(page < 49, "there is no one-time schedule");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn never(one: One) -> anyhow::Result<()> {
    one.world.step(one.id, "activate").await?;
    forget(&one.world, &one).await
}

async fn thrice(one: One) -> anyhow::Result<()> {
    let One {
        world, id, run_at, ..
    } = &one;
    world.step(*id, "activate").await?;
    until(*run_at - TimeDelta::seconds(18)).await;
    let fire = || world.dispatch(World::event(*id, 1));
    let (first, second, third) = tokio::join!(fire(), fire(), fire());
    first.and(second).and(third)?;
    until(*run_at + TimeDelta::seconds(1)).await;
    fire().await
}

async fn late(one: One) -> anyhow::Result<()> {
    one.world.step(one.id, "activate").await?;
    forget(&one.world, &one).await?;
    until(one.run_at + TimeDelta::seconds(3)).await;
    one.world.dispatch(World::event(one.id, 1)).await
}

async fn paused(one: One) -> anyhow::Result<()> {
    let One {
        world, id, run_at, ..
    } = &one;
    world.step(*id, "activate").await?;
    world.step(*id, "pause").await?;
    until(*run_at).await;
    world.dispatch(World::event(*id, 1)).await?;
    let sent: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM batches WHERE schedule_id = ?")
        .bind(*id)
        .fetch_one(&world.pool)
        .await?;
    ensure!(sent == 0, "a paused schedule was cut");
    world.step(*id, "resume").await.map(drop)
}

async fn cancelled(one: One) -> anyhow::Result<()> {
    let One {
        world, id, run_at, ..
    } = &one;
    world.step(*id, "activate").await?;
    world.step(*id, "cancel").await?;
    until(*run_at).await;
    world.dispatch(World::event(*id, 1)).await?;
    until(*run_at + TimeDelta::seconds(2)).await;
    let sql = "SELECT COUNT(*) FROM recipients WHERE schedule_id = ? AND attempt > 0";
    let sent: i64 = sqlx::query_scalar(sql)
        .bind(*id)
        .fetch_one(&world.pool)
        .await?;
    ensure!(sent == 0, "a cancelled schedule was sent");
    Ok(())
}

async fn old_version(one: One) -> anyhow::Result<()> {
    let One {
        world, id, run_at, ..
    } = &one;
    world.step(*id, "activate").await?;
    let later = serde_json::json!({ "run_at": *run_at + TimeDelta::seconds(3) });
    let (status, answer) = world
        .call(
            reqwest::Method::PATCH,
            &format!("/v1/schedules/{id}"),
            Some(later),
        )
        .await?;
    ensure!(status == 200, "the change answered {status}: {answer}");
    until(*run_at - TimeDelta::seconds(15)).await;
    world.dispatch(World::event(*id, 1)).await
}

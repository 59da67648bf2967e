//! What may befall the database and the way to it.

use std::time::Duration;

use anyhow::{Context, ensure};
use chrono::TimeDelta;
use serde_json::json;
use sqlx::Row;
use tokio::process::Command;

use super::{BoxFuture, Everything, Fault, How, World, world::until};

const fn fault(
    name: &'static str,
    what: &'static str,
    how: fn(Everything) -> BoxFuture<'static, anyhow::Result<()>>,
) -> Fault {
    Fault {
        name,
        what,
        recipients: 600,
        lead_s: 4,
        uncertain: None,
        how: How::All(how),
    }
}

pub(super) fn faults() -> Vec<Fault> {
    vec![
        fault(
            "database-restarted",
            "the server dies (SIGKILL) and is started again",
            |all| Box::pin(restart(all)),
        ),
        fault(
            "database-cut",
            "every connection is reset, again and again",
            |all| Box::pin(cut(all)),
        ),
        fault(
            "database-gone",
            "it refuses every connection for four seconds",
            |all| Box::pin(gone(all)),
        ),
        fault(
            "database-read-only",
            "a failover: read-only for four seconds, and every connection killed",
            |all| Box::pin(failover(all)),
        ),
        fault(
            "database-full",
            "too many connections: a server that takes ten",
            |all| Box::pin(full(all)),
        ),
        fault(
            "database-deadlocks",
            "somebody else takes the same rows, in another order",
            |all| Box::pin(locks(all, 300)),
        ),
        fault(
            "database-lock-waits",
            "somebody else keeps rows locked for longer than the lock-wait time-out",
            |all| Box::pin(lock_waits(all)),
        ),
        fault("database-slow", "every packet takes 40 ms longer", |all| {
            Box::pin(slow(all))
        }),
    ]
}

/// The moment in which sends are at work.
async fn in_mid_run(all: &Everything) {
    until(all.run_at + TimeDelta::milliseconds(all.random.clone().i64(200..900))).await;
}

async fn restart(all: Everything) -> anyhow::Result<()> {
    in_mid_run(&all).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let done = Command::new("infra/local/python")
        .args(["infra/local/stack.py", "restart-database"])
        .current_dir(folder)
        .output();
    let done = done.await.context("restarting the database")?;
    ensure!(
        done.status.success(),
        "restarting the database: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

async fn cut(mut all: Everything) -> anyhow::Result<()> {
    until(all.run_at).await;
    for _ in 0..10 {
        all.world.cut("DATABASE").await?;
        tokio::time::sleep(Duration::from_millis(all.random.u64(50..900))).await;
    }
    Ok(())
}

async fn gone(all: Everything) -> anyhow::Result<()> {
    in_mid_run(&all).await;
    all.world
        .network("DATABASE", json!({ "refuse": true }))
        .await?;
    all.world.cut("DATABASE").await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    all.world
        .network("DATABASE", json!({ "refuse": false }))
        .await
}

/// Sets a variable of the server. Its name and value are ours.
async fn set(world: &World, variable: &str, value: i64) -> sqlx::Result<()> {
    sqlx::raw_sql(&format!("SET GLOBAL {variable} = {value}"))
        .execute(&world.pool)
        .await
        .map(drop)
}

async fn read(world: &World, variable: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar(&format!("SELECT CAST(@@GLOBAL.{variable} AS SIGNED)"))
        .fetch_one(&world.pool)
        .await
}

/// The functions' user is an ordinary one, whom `read_only` concerns.
async fn failover(all: Everything) -> anyhow::Result<()> {
    in_mid_run(&all).await;
    let world = &all.world;
    set(world, "read_only", 1).await?;
    for connection in
        sqlx::query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'sms_app'")
            .fetch_all(&world.pool)
            .await?
    {
        let id: i64 = connection
            .try_get::<i64, _>(0)
            .or_else(|_| connection.try_get::<u64, _>(0).map(|id| id as i64))?;
        // One that has gone meanwhile can't be killed.
        let _ = sqlx::raw_sql(&format!("KILL {id}"))
            .execute(&world.pool)
            .await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    set(world, "read_only", 0).await?;
    Ok(())
}

async fn full(all: Everything) -> anyhow::Result<()> {
    let world = &all.world;
    let usual = read(world, "max_connections").await?;
    until(all.run_at - TimeDelta::seconds(1)).await;
    set(world, "max_connections", 10).await?;
    world.cut("DATABASE").await?;
    until(all.run_at + TimeDelta::seconds(5)).await;
    set(world, "max_connections", usual).await?;
    Ok(())
}

/// Locks recipients from the last to the first, and batches after them: the other way round than the functions do.
async fn locks(mut all: Everything, hold_ms: u64) -> anyhow::Result<()> {
    until(all.run_at).await;
    for _ in 0..12 {
        let id = all.ids[all.random.usize(0..all.ids.len())];
        let mut transaction = all.world.pool.begin().await?;
        // Losing a deadlock is what this is for.
        for sql in [
            "SELECT seq FROM recipients WHERE schedule_id = ? AND seq <= 300 ORDER BY seq DESC FOR UPDATE",
            "SELECT batch_no FROM batches WHERE schedule_id = ? ORDER BY batch_no DESC FOR UPDATE",
            "SELECT id FROM schedules WHERE id = ? FOR UPDATE",
        ] {
            if sqlx::query(sql)
                .bind(id)
                .execute(&mut *transaction)
                .await
                .is_err()
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(hold_ms / 3)).await;
        }
        transaction.rollback().await?;
        tokio::time::sleep(Duration::from_millis(all.random.u64(20..200))).await;
    }
    Ok(())
}

async fn lock_waits(all: Everything) -> anyhow::Result<()> {
    let world = std::sync::Arc::clone(&all.world);
    let usual = read(&world, "innodb_lock_wait_timeout").await?;
    set(&world, "innodb_lock_wait_timeout", 1).await?;
    // A connection takes the new value when it opens.
    world.cut("DATABASE").await?;
    let done = locks(all, 4000).await;
    set(&world, "innodb_lock_wait_timeout", usual).await?;
    world.cut("DATABASE").await?;
    done
}

async fn slow(all: Everything) -> anyhow::Result<()> {
    until(all.run_at - TimeDelta::seconds(1)).await;
    all.world
        .network("DATABASE", json!({ "delay_ms": 40 }))
        .await?;
    until(all.run_at + TimeDelta::seconds(8)).await;
    all.world
        .network("DATABASE", json!({ "delay_ms": 0 }))
        .await
}

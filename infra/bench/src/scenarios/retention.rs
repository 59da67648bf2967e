//! The erasure of personal data from a database with many old rows: what it costs a list that is sent
//! at the same time, and how fast it is. Its sweeps follow each other without a pause; in production,
//! each minute has one that erases for ten seconds.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::MySqlPool;

use super::old_rows::{LIST, OLD_ROWS, send};
use crate::{
    bench::Bench,
    driver::function::Function,
    figure::Figure,
    load::{
        Rate,
        copies::{copy, settle},
    },
    stage::{Play, Stage},
};

/// How long it erases while nothing is sent.
const ALONE: Duration = Duration::from_secs(60);
/// A schedule with this time of its erasure is left alone until it has none again.
const HIDDEN: &str = "2000-01-01 00:00:00";

/// Fills a database, and sends lists in the order without, with, with, without, so that a drift of the
/// machine's speed affects both alike.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let old_rows = bench.options.messages(OLD_ROWS);
    let list = LIST.min(old_rows);
    let play = Play {
        name: "retention",
        settings: &[
            ("RECHECK_DELAYS_S", "1"),
            ("RETAIN_PERSONAL_DATA_DAYS", "30"),
        ],
        carrier: json!({}),
    };
    let mut stage = Stage::start(bench, play).await?;
    stage.driver.map("recheck").await?;
    fill(bench, &mut stage, old_rows, list).await?;
    let mut sent = [Rate::default(); 2];
    let mut beside = Rate::default();
    for is_erasing in [false, true, true, false] {
        let rate = if is_erasing {
            let (rate, erased) = send_and_erase(bench, &mut stage, list).await?;
            beside.add(erased);
            rate
        } else {
            send(bench, &mut stage, list).await?.1
        };
        sent[usize::from(is_erasing)].add(rate);
    }
    show(&stage.pool).await?;
    let alone = erase_alone(&stage).await?;
    stage.stop(bench).await?;
    anyhow::ensure!(
        beside.messages > 0,
        "nothing was erased while a list was sent"
    );
    let [without, with] = sent.map(Rate::per_second);
    let name = format!("messages sent and rechecked beside an erasure, with {old_rows} old rows");
    Ok(vec![
        Figure::new(name, with, "messages/s").against("without it", without),
        Figure::new(
            "erased at the same time",
            beside.per_second(),
            "recipients/s",
        ),
        Figure::new("erased alone", alone.per_second(), "recipients/s"),
    ])
}

/// Sends a list, and copies it as lists that were sent 100 days ago. They are hidden.
async fn fill(bench: &Bench, stage: &mut Stage, old_rows: u64, list: u64) -> anyhow::Result<()> {
    let (id, _) = send(bench, stage, list).await?;
    stage.expect("DELIVRD", list).await?;
    sqlx::query(
        "UPDATE schedules SET run_at = run_at - INTERVAL 100 DAY, created_at = created_at - INTERVAL 100 DAY,
           finished_at = finished_at - INTERVAL 100 DAY, personal_data_erased_at = ? WHERE id = ?",
    )
    .bind(HIDDEN)
    .bind(id)
    .execute(&stage.pool)
    .await?;
    for _ in 1..old_rows / list {
        copy(&mut *stage.pool.acquire().await?, id).await?;
    }
    settle(&stage.pool).await?;
    stage.carrier.reset().await
}

/// Lets the old schedules be erased.
async fn show(pool: &MySqlPool) -> anyhow::Result<()> {
    let show =
        "UPDATE schedules SET personal_data_erased_at = NULL WHERE personal_data_erased_at = ?";
    sqlx::query(show).bind(HIDDEN).execute(pool).await?;
    Ok(())
}

/// Lets the rest of the old schedules not be erased.
async fn hide(pool: &MySqlPool) -> anyhow::Result<()> {
    let hide = "UPDATE schedules SET personal_data_erased_at = ?
         WHERE personal_data_erased_at IS NULL AND run_at < UTC_TIMESTAMP(3) - INTERVAL 99 DAY";
    sqlx::query(hide).bind(HIDDEN).execute(pool).await?;
    Ok(())
}

/// Sends a list while sweeps erase. Returns the rates of both.
async fn send_and_erase(
    bench: &Bench,
    stage: &mut Stage,
    list: u64,
) -> anyhow::Result<(Rate, Rate)> {
    show(&stage.pool).await?;
    let pool = stage.pool.clone();
    let dispatch = stage.driver.function("dispatch")?;
    let is_sent = AtomicBool::new(false);
    let sending = async {
        let sent = send(bench, stage, list).await;
        is_sent.store(true, Relaxed);
        sent
    };
    let erasing = erase(&pool, &dispatch, |_| !is_sent.load(Relaxed));
    let (sent, erased) = tokio::join!(sending, erasing);
    hide(&pool).await?;
    Ok((sent?.1, erased?))
}

/// Erases for some time.
async fn erase_alone(stage: &Stage) -> anyhow::Result<Rate> {
    let dispatch = stage.driver.function("dispatch")?;
    erase(&stage.pool, &dispatch, |begun| begun.elapsed() < ALONE).await
}

/// Sweeps while `goes_on`, which gets the time of the begin, or until nothing is left to erase.
async fn erase(
    pool: &MySqlPool,
    dispatch: &Function,
    goes_on: impl Fn(Instant) -> bool,
) -> anyhow::Result<Rate> {
    let before = erased(pool).await?;
    let mut so_far = Rate::default();
    let begun = Instant::now();
    while goes_on(begun) {
        dispatch.call(&json!({"sweep": true})).await?;
        let rate = Rate {
            took: begun.elapsed(),
            messages: erased(pool).await? - before,
        };
        if rate.messages == so_far.messages {
            break;
        }
        so_far = rate;
    }
    Ok(so_far)
}

/// Returns how many recipients are erased.
async fn erased(pool: &MySqlPool) -> anyhow::Result<u64> {
    let sum = "SELECT CAST(COALESCE(SUM(erased_to_seq), 0) AS SIGNED) FROM schedules";
    let sum: i64 = sqlx::query_scalar(sum).fetch_one(pool).await?;
    Ok(sum.unsigned_abs())
}

//! The statements of summaries.

use chrono::Utc;
use sqlx::MySqlPool;

use crate::{
    plans::Plans,
    tables::{analyze, execute, insert_schedules},
};

/// Most summaries are complete.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_a_summary_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let ids = insert_schedules(&pool).await;
    let summaries =
        "INSERT INTO schedule_summaries (schedule_id, finishes, requested_at, next_batch, done_at)
        SELECT id, 1, created_at, 1, IF(status = 'finished', NULL, created_at) FROM schedules";
    execute(&pool, summaries).await;
    let attempts = "INSERT INTO attempts (schedule_id, seq, attempt, status, sent_at, final_at)
        SELECT schedule_id, seq, 1, 'UNDELIV', sent_at, sent_at FROM recipients";
    execute(&pool, attempts).await;
    analyze(
        &pool,
        "schedules, schedule_summaries, batches, recipients, attempts",
    )
    .await;
    let mut plans = Plans::new(&pool);
    let (id, now) = (ids[2], Utc::now());
    plans
        .check(
            "the summaries to compute",
            &["schedule_summaries y FORCE INDEX (to_compute)"],
            &["y to_compute", "s PRIMARY"],
            &[&20],
        )
        .await;
    plans
        .check(
            "the next batches of a summary",
            &["batch_no >= ? ORDER BY batch_no LIMIT ?", "planned_at"],
            &["batches PRIMARY"],
            &[&id, &40, &100],
        )
        .await;
    // Its groups are few, and may be sorted.
    plans
        .check_sorting(
            "the durations of a range",
            &["AS first_sent_at"],
            &["r PRIMARY", "a PRIMARY"],
            &[&"0.1", &"0.1", &now, &now, &id, &1, &1_000],
        )
        .await;
    let ids = format!(r#"["{}"]"#, id.simple());
    plans
        .check(
            "the summaries of a page",
            &["schedule_summaries y FORCE INDEX (PRIMARY)"],
            &["y PRIMARY"],
            &[&ids],
        )
        .await;
    plans.assert_none_wrong();
}

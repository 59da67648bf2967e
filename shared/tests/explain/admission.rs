//! The statements of an admission, and of the turns.

use chrono::{DateTime, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::Plans,
    tables::{analyze, execute, insert_schedules},
};

/// Half of the batches of each schedule wait, a tenth is admitted.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_an_admission_uses_its_key(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let sql = "UPDATE batches SET waiting = batch_no > 50, send_at = IF(batch_no BETWEEN 40 AND 49 OR batch_no > 50, planned_at, NULL),
        sweep_at = '9999-01-01'";
    execute(&pool, sql).await;
    let sql = "INSERT INTO turns (schedule_id, virtual_parts, ready_at, next_send_at)
        SELECT id, 1, run_at, run_at FROM schedules WHERE batch_count IS NOT NULL";
    execute(&pool, sql).await;
    analyze(&pool, "schedules, batches, turns, carriers").await;
    let now = Utc::now();
    let mut plans = Plans::new(&pool);
    check_load(&mut plans, now).await;
    check_choice(&mut plans, id, now).await;
    check_writes(&mut plans, now).await;
    check_turns(&mut plans, id, now).await;
    plans.assert_none_wrong();
}

async fn check_load(plans: &mut Plans<'_>, now: DateTime<Utc>) {
    plans
        .check(
            "what is admitted and what is ready",
            &["AS \"is_ready!: bool\""],
            &["b admitted", "s PRIMARY"],
            &[&now, &now, &now, &now, &now, &200, &now, &3, &5000, &"main"],
        )
        .await;
    // The admitted batches, a few dozen, are grouped by schedule.
    plans
        .check_sorting(
            "what is admitted",
            &["due.closing AS \"closing!: bool\""],
            &["b admitted", "s PRIMARY"],
            &[&200, &now, &now, &now, &now, &200, &3, &5000],
        )
        .await;
}

async fn check_choice(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    // The few turns are sorted by priority and virtual time.
    plans
        .check_sorting(
            "turns that are ready",
            &["t.virtual_parts", "FROM turns t STRAIGHT_JOIN schedules s"],
            &["s PRIMARY"],
            &[&now, &1000],
        )
        .await;
    plans
        .check(
            "batches that wait",
            &["FORCE INDEX (next_in_turn)", "ORDER BY"],
            &["batches next_in_turn", "s PRIMARY"],
            &[&id, &id, &20],
        )
        .await;
}

async fn check_writes(plans: &mut Plans<'_>, _now: DateTime<Utc>) {
    let rows = r#"[{"i":"00","n":1,"t":"2030-01-01","s":"2030-01-01"}]"#;
    plans
        .check(
            "admit batches",
            &["SET b.waiting = 0, b.send_at = j.t"],
            &["b PRIMARY"],
            &[&rows],
        )
        .await;
    plans
        .check(
            "mark as enqueued",
            &["SET b.sweep_at = LEAST(j.s"],
            &["b PRIMARY"],
            &[&rows],
        )
        .await;
    let rows = r#"[{"i":"00","r":"2030-01-01","t":"2030-01-01","v":1,"o":"2030-01-01"}]"#;
    plans
        .check(
            "write turns",
            &["UPDATE turns t JOIN JSON_TABLE"],
            &["t PRIMARY"],
            &[&rows],
        )
        .await;
}

async fn check_turns(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    plans
        .check(
            "open a turn",
            &["INSERT INTO turns", "FROM schedules s"],
            &["s PRIMARY", "b next_in_turn"],
            &[&now, &now, &now, &id, &now, &now, &now],
        )
        .await;
    plans
        .check(
            "return a batch",
            &["INSERT INTO turns", "SELECT schedule_id, 1"],
            &["batches PRIMARY"],
            &[&now, &now, &id, &60, &now, &now, &5, &5],
        )
        .await;
    plans
        .check(
            "schedules without a turn",
            &["SELECT DISTINCT w.schedule_id"],
            &["b admitted"],
            &[&1000],
        )
        .await;
    plans
        .check(
            "turns without a batch",
            &["SELECT t.schedule_id", "NOT EXISTS"],
            &["b next_in_turn"],
            &[&1000],
        )
        .await;
    plans
        .check(
            "schedules with a canary that is not decided",
            &[
                "status = 'running' AND held_after IS NOT NULL",
                "FORCE INDEX",
            ],
            &["schedules by_status"],
            &[],
        )
        .await;
    plans
        .check(
            "the figures of a canary",
            &[
                "STRAIGHT_JOIN recipients r FORCE INDEX (PRIMARY)",
                "s.max_resends",
            ],
            &["s PRIMARY", "r PRIMARY"],
            &[&id, &50],
        )
        .await;
    // A schedule of which no batch waits: MySQL evaluates the subquery before it plans.
    plans
        .check(
            "end a turn",
            &["DELETE FROM turns"],
            &["turns PRIMARY"],
            &[&id, &Uuid::nil()],
        )
        .await;
}

//! The statements of an operator's work: the lists of what needs attention, and the actions.

use chrono::{DateTime, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::{Null, Plans},
    tables::{analyze, execute, insert_schedules},
};

/// A few hundred of 2,000 batches need attention.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_about_attention_uses_its_key(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let sql = "UPDATE batches SET missed_at = IF(batch_no % 10 = 1, planned_at, NULL), crashes = IF(batch_no % 10 = 3, 3, 0),
        uncertain = IF(batch_no % 10 = 5, 7, 0)";
    execute(&pool, sql).await;
    analyze(&pool, "schedules, recipients, batches, attempts").await;
    let now = Utc::now();
    let mut plans = Plans::new(&pool);
    check_lists(&mut plans, now).await;
    check_schedules(&mut plans, id, now).await;
    check_batches(&mut plans, id, now).await;
    check_retry(&mut plans, id, now).await;
    check_progress(&mut plans, id, now).await;
    check_resolve(&mut plans, id, now).await;
    plans.assert_none_wrong();
}

async fn check_lists(plans: &mut Plans<'_>, now: DateTime<Utc>) {
    plans
        .check_sorting(
            "missed schedules",
            &["UNION ALL", "FORCE INDEX (missed)"],
            &["schedules by_status", "batches missed"],
            &[&50],
        )
        .await;
    plans
        .check_sorting(
            "schedules with parked batches",
            &["FORCE INDEX (due)", "crashes >= ?", "GROUP BY schedule_id"],
            &["batches due"],
            &[&3, &now, &50],
        )
        .await;
    plans
        .check_sorting(
            "schedules with uncertain recipients",
            &["FORCE INDEX (with_uncertain)", "GROUP BY schedule_id"],
            &["batches with_uncertain"],
            &[&now, &50],
        )
        .await;
    plans
        .check_sorting(
            "schedules with overdue batches",
            &["FORCE INDEX (due)", "GROUP BY b.schedule_id"],
            &["b due", "s PRIMARY"],
            &[&3, &now, &now, &50],
        )
        .await;
    plans
        .check_sorting(
            "schedules that have not begun",
            &[
                "FORCE INDEX (to_cut)",
                "CAST(recipient_count - cancelled_count AS UNSIGNED)",
            ],
            &["schedules to_cut"],
            &[&now, &now, &50],
        )
        .await;
    plans
        .check(
            "paused schedules",
            &["s.pause_reason IS NOT NULL OR COALESCE(s.opens_at, s.run_at) < ?"],
            &["s by_status"],
            &[&now, &50],
        )
        .await;
    plans
        .check(
            "forgotten drafts",
            &["status = 'draft' AND run_at < ?"],
            &["schedules by_status"],
            &[&now, &50],
        )
        .await;
    plans
        .check(
            "schedules that wait for an approval",
            &["s.status = 'awaiting-approval'"],
            &["s by_status", "a PRIMARY"],
            &[&50],
        )
        .await;
}

async fn check_schedules(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    plans
        .check(
            "shown schedules",
            &["COALESCE(s.pause_reason, s.reason) AS reason"],
            &["s PRIMARY"],
            &[&format!("[\"{}\"]", id.simple())],
        )
        .await;
    plans
        .check(
            "the first uncertain request",
            &["uncertain > 0 ORDER BY batch_no LIMIT 1"],
            &["batches PRIMARY", "r PRIMARY"],
            &[&id, &id],
        )
        .await;
    plans
        .check(
            "schedules in a state",
            &["WHERE status = ? AND id < ?"],
            &["schedules by_status"],
            &[&"missed", &id, &now, &now, &Null, &50],
        )
        .await;
}

async fn check_batches(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    plans
        .check(
            "batches by name",
            &["named.batch_no", "CONCAT_WS"],
            &["b PRIMARY", "s PRIMARY"],
            &[&format!("[[0, \"{}\", 1]]", id.simple())],
        )
        .await;
    plans
        .check(
            "batches of a schedule",
            &["WHEN claimed_until >= ? THEN 'claimed'"],
            &["batches PRIMARY"],
            &[&3, &now, &now, &id, &1, &"done", &"done", &50],
        )
        .await;
}

async fn check_retry(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    plans
        .check(
            "retry parked batches",
            &["SET crashes = 0"],
            &["batches PRIMARY"],
            &[&now, &id, &1, &1, &3, &now],
        )
        .await;
    plans
        .check(
            "make batches visible to the sweep",
            &["SELECT DISTINCT named.id"],
            &["b PRIMARY"],
            &[
                &format!("[[\"{}\", 1]]", id.simple()),
                &now,
                &now,
                &now,
                &now,
            ],
        )
        .await;
}

async fn check_progress(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    plans
        .check_sorting(
            "the batches of a page of schedules, added up",
            &["MIN(IF(b.crashes < ?, b.send_at, NULL))"],
            &["b PRIMARY"],
            &[
                &3,
                &now,
                &now,
                &3,
                &now,
                &3,
                &now,
                &3,
                &format!("[\"{}\"]", id.simple()),
            ],
        )
        .await;
}

async fn check_resolve(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    plans
        .check(
            "lock uncertain recipients",
            &["status = 'UNCERTAIN' ORDER BY seq FOR UPDATE"],
            &["recipients PRIMARY"],
            &[&id, &1, &20],
        )
        .await;
    plans
        .check(
            "close as sent",
            &["'resolved as sent'"],
            &["r PRIMARY"],
            &[&"[1, 2]", &now, &id],
        )
        .await;
    plans
        .check(
            "cancel recipients",
            &["r.status = 'PENDING' AND r.resends = 0"],
            &["r PRIMARY"],
            &[&"[1, 2]", &now, &id],
        )
        .await;
    plans
        .check(
            "lock recipients",
            &["SELECT r.seq, r.status, r.resends"],
            &["r PRIMARY"],
            &[&"[1, 2]", &id],
        )
        .await;
    plans
        .check(
            "places of numbers",
            &[
                "r.seq FROM JSON_TABLE(?, '$[*]' COLUMNS (phone",
                "r.phone = CONVERT(j.phone USING ascii)",
            ],
            &["r phone_once"],
            &[&"[\"+60123456789\"]", &id],
        )
        .await;
    plans
        .check(
            "send again",
            &["SET r.status = 'PENDING'"],
            &["r PRIMARY"],
            &[&"[1, 2]", &id],
        )
        .await;
    plans
        .check(
            "recount a batch",
            &["SET b.pending = c.pending"],
            &["b PRIMARY", "recipients PRIMARY"],
            &[&id, &1, &20, &now, &now, &now, &now, &id, &1],
        )
        .await;
}

//! The statements of the API's lists of schedules and messages, of suppressions and variables, and
//! of a changed window or rate.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::{Null, Plans},
    tables::{NUMBERS, analyze, execute, insert_schedules},
};

/// 900 numbers are suppressed, and each recipient has variables.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_the_lists_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let suppressions = format!(
        "INSERT INTO suppressions (phone, source, created_at, created_by)
         {NUMBERS} CONCAT('+6013', 1000000 + n), 'api', NOW(), 'nobody' FROM n"
    );
    execute(&pool, &suppressions).await;
    let variables = "INSERT INTO recipient_variables (schedule_id, seq, variables)
        SELECT schedule_id, seq, '{}' FROM recipients";
    execute(&pool, variables).await;
    analyze(
        &pool,
        "schedules, recipients, recipient_variables, batches, attempts, suppressions",
    )
    .await;
    let now = Utc::now();
    let mut plans = Plans::new(&pool);
    check_suppressions(&mut plans).await;
    check_messages(&mut plans, id).await;
    check_schedules(&mut plans, id, now).await;
    check_variables(&mut plans, id).await;
    check_new_times(&mut plans, id, now).await;
    plans.assert_none_wrong();
}

async fn check_suppressions(plans: &mut Plans<'_>) {
    plans
        .check(
            "suppressed numbers among some",
            &["STRAIGHT_JOIN suppressions s ON s.phone = CONVERT"],
            &["s PRIMARY"],
            &[&r#"["+60131000001"]"#],
        )
        .await;
    plans
        .check(
            "suppressed numbers of a batch",
            &["STRAIGHT_JOIN suppressions s ON s.phone = r.phone"],
            &["r PRIMARY", "s PRIMARY"],
            &[&Uuid::nil(), &1, &20],
        )
        .await;
    plans
        .check(
            "a page of suppressions",
            &["FROM suppressions", "phone > ?"],
            &["suppressions PRIMARY"],
            &[&"+60131000001", &Null, &Null, &50],
        )
        .await;
}

async fn check_messages(plans: &mut Plans<'_>, id: Uuid) {
    let (phone, last, now) = ("+60121000001", Uuid::max(), Utc::now());
    plans
        .check(
            "messages to a number",
            &[
                "FORCE INDEX (phone_once)",
                "ORDER BY schedule_id DESC, copy DESC",
            ],
            &["recipients phone_once"],
            &[
                &phone, &last, &last, &7, &Null, &Null, &Null, &Null, &Null, &Null, &Null, &Null,
                &Null, &50,
            ],
        )
        .await;
    plans
        .check(
            "messages of a schedule",
            &["status <> 'INVALID' AND (? IS NULL"],
            &["recipients PRIMARY"],
            &[
                &id, &5, &100, &Null, &Null, &Null, &Null, &Null, &Null, &now, &now, &now, &50,
            ],
        )
        .await;
    plans
        .check(
            "recipients of a schedule",
            &["seq > ? AND seq <= ? AND (? IS NULL OR status = ?)\n"],
            &["recipients PRIMARY"],
            &[&id, &5, &100, &"DELIVRD", &"DELIVRD", &now, &now, &now, &50],
        )
        .await;
    plans
        .check(
            "recipients of a report",
            &["AND (? OR status <> 'INVALID')"],
            &["recipients PRIMARY"],
            &[
                &id, &5, &100, &false, &Null, &Null, &Null, &Null, &Null, &Null, &now, &now, &now,
                &50,
            ],
        )
        .await;
    plans
        .check(
            "batches of a part of a report",
            &["b.last_seq, b.planned_at", "FORCE INDEX (by_last_seq)"],
            &["b by_last_seq"],
            &[&id, &5, &100, &id, &100],
        )
        .await;
    plans
        .check(
            "calls of a page of recipients",
            &["FROM list_calls FORCE INDEX (by_seq)"],
            &["list_calls by_seq"],
            &[&id, &100, &51],
        )
        .await;
}

async fn check_schedules(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    let day_before = now - TimeDelta::days(1);
    plans
        .check(
            "schedules that may have sent",
            &["FORCE INDEX (by_time)", "id <= ?"],
            &["schedules by_time"],
            &[&now, &now, &id, &now, &now, &now, &20],
        )
        .await;
    for (order, from) in [
        ("ORDER BY run_at, id", day_before),
        ("ORDER BY run_at DESC, id DESC LIMIT ?", now),
    ] {
        plans
            .check(
                order,
                &["FORCE INDEX (by_time)", "COALESCE(?, status)", order],
                &["schedules by_time"],
                &[&from, &from, &id, &day_before, &now, &Null, &Null, &50],
            )
            .await;
    }
}

async fn check_variables(plans: &mut Plans<'_>, id: Uuid) {
    plans
        .check(
            "the variables of a batch",
            &["SELECT seq, variables FROM recipient_variables"],
            &["recipient_variables PRIMARY"],
            &[&id, &1, &5],
        )
        .await;
    plans
        .check(
            "the variables of a page",
            &["SELECT v.", "STRAIGHT_JOIN recipient_variables v"],
            &["v PRIMARY"],
            &[&format!(r#"[["{}", 1]]"#, id.simple())],
        )
        .await;
    plans
        .check(
            "the recipients whose text a changed message renders",
            &["LEFT JOIN recipient_variables v", "r.status <> 'INVALID'"],
            &["r PRIMARY", "v PRIMARY"],
            &[&id, &5, &50],
        )
        .await;
    plans
        .check(
            "the recipients whose texts a dry run examines",
            &["LEFT JOIN recipient_variables v", "r.seq BETWEEN ? AND ?"],
            &["r PRIMARY", "v PRIMARY"],
            &[&id, &5, &50],
        )
        .await;
    plans
        .check(
            "numbers that a schedule has already",
            &["CONVERT(given.phone USING ascii)"],
            &["r phone_once"],
            &[&r#"["+60121000001"]"#, &id],
        )
        .await;
}

async fn check_new_times(plans: &mut Plans<'_>, id: Uuid, now: DateTime<Utc>) {
    plans
        .check(
            "the batches that are spread over a window",
            &["SELECT batch_no, pending FROM batches\n         WHERE"],
            &["batches PRIMARY"],
            &[&id],
        )
        .await;
    plans
        .check(
            "their new times",
            &["at DATETIME(3) PATH '$[1]'"],
            &["b PRIMARY"],
            &[&r#"[[1, "2030-01-01 00:00:00"]]"#, &id],
        )
        .await;
    // A changed rate sorts once, over the batches of one schedule.
    plans
        .check_sorting(
            "a changed rate",
            &["SUM(pending) OVER"],
            &["b PRIMARY"],
            &[&5, &id, &now, &now, &75, &id],
        )
        .await;
}

//! The statements that erase personal data.

use chrono::{TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::Plans,
    tables::{analyze, execute, insert_schedules},
};

/// Every recipient has variables, a reference and an earlier attempt; some batches are UNCERTAIN.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_an_erasure_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[2];
    for sql in [
        "INSERT INTO recipient_variables (schedule_id, seq, variables) SELECT schedule_id, seq, '{}' FROM recipients",
        "INSERT INTO recipient_references (schedule_id, seq, reference, group_name)
           SELECT schedule_id, seq, CONCAT('R', seq), IF(seq % 2, 'north', NULL) FROM recipients",
        "INSERT INTO attempts (schedule_id, seq, attempt, status, sent_at, final_at)
           SELECT schedule_id, seq, 1, 'UNDELIV', sent_at, sent_at FROM recipients",
        "INSERT INTO list_calls (schedule_id, call_no, first_seq, hash, created_at)
           SELECT schedule_id, batch_no, first_seq, UNHEX(SHA2(CONCAT(HEX(schedule_id), batch_no), 256)), planned_at FROM batches",
        "INSERT INTO suppressions (phone, reason, source, created_at, created_by)
           SELECT DISTINCT phone, 'x', 'api', sent_at, 'x' FROM recipients",
        "UPDATE batches SET uncertain = 1 WHERE batch_no = 7",
    ] {
        execute(&pool, sql).await;
    }
    let tables = "schedules, batches, recipients, recipient_variables, recipient_references, attempts, list_calls, suppressions";
    analyze(&pool, tables).await;
    let mut plans = Plans::new(&pool);
    check_schedules(&mut plans, id).await;
    check_recipients(&mut plans, id).await;
    check_person(&mut plans, id).await;
    plans.assert_none_wrong();
}

async fn check_schedules(plans: &mut Plans<'_>, id: Uuid) {
    let (now, before) = (Utc::now(), Utc::now() - TimeDelta::days(30));
    plans
        .check(
            "the schedules to erase",
            &["FORCE INDEX (to_erase)"],
            &["s to_erase", "u with_uncertain"],
            &[&before, &before, &before, &20],
        )
        .await;
    plans
        .check(
            "the lock of a schedule",
            &["finished_at + INTERVAL resend_within_s SECOND"],
            &["schedules PRIMARY"],
            &[&id],
        )
        .await;
    plans
        .check(
            "whether something is left to do",
            &["is_uncertain!", "FORCE INDEX (with_uncertain)"],
            &["u with_uncertain"],
            &[&id, &id],
        )
        .await;
    plans
        .check(
            "the progress",
            &["UPDATE schedules SET erased_to_seq = ?"],
            &["schedules PRIMARY"],
            &[&7, &id],
        )
        .await;
    plans
        .check(
            "the text",
            &["UPDATE schedules SET message = ''"],
            &["schedules PRIMARY"],
            &[&now, &id],
        )
        .await;
    plans
        .check(
            "the hashes of what was approved",
            &["UPDATE schedule_approvals SET list_hash = NULL, is_hashed = 0"],
            &["schedule_approvals PRIMARY"],
            &[&id],
        )
        .await;
    plans
        .check(
            "the hashes of the lists",
            &["UPDATE list_calls SET hash"],
            &["list_calls PRIMARY"],
            &[&id],
        )
        .await;
}

async fn check_recipients(plans: &mut Plans<'_>, id: Uuid) {
    plans
        .check(
            "the next recipients to erase",
            &["SELECT seq, phone FROM recipients", "ORDER BY seq LIMIT ?"],
            &["recipients PRIMARY"],
            &[&id, &100, &200],
        )
        .await;
    plans
        .check(
            "the numbers",
            &["SET r.phone = j.hash"],
            &["r PRIMARY"],
            &[&r##"[[1, "#a"], [2, "#b"]]"##, &id],
        )
        .await;
    for (what, fragments, key) in [
        (
            "the attempts",
            ["UPDATE attempts SET message_id = IF(", "BETWEEN"],
            "attempts PRIMARY",
        ),
        (
            "the variables",
            ["DELETE FROM recipient_variables", "BETWEEN"],
            "recipient_variables PRIMARY",
        ),
        (
            "the references",
            [
                "UPDATE recipient_references FORCE INDEX (PRIMARY) SET reference = NULL",
                "BETWEEN",
            ],
            "recipient_references PRIMARY",
        ),
        (
            "the recipients without a group",
            ["DELETE FROM recipient_references", "BETWEEN"],
            "recipient_references PRIMARY",
        ),
    ] {
        plans
            .check(what, &fragments, &[key], &[&id, &1, &200])
            .await;
    }
}

async fn check_person(plans: &mut Plans<'_>, id: Uuid) {
    let phone = "+60121000007";
    plans
        .check(
            "the places of a number",
            &["schedule_id > ? OR copy > ?", "ORDER BY schedule_id, copy"],
            &["recipients phone_once"],
            &[&phone, &id, &id, &0, &200],
        )
        .await;
    plans
        .check(
            "the lock of a recipient",
            &["SELECT phone, status, error FROM recipients"],
            &["recipients PRIMARY"],
            &[&id, &7],
        )
        .await;
    plans
        .check(
            "the reason of a suppression",
            &["UPDATE suppressions SET reason = NULL"],
            &["suppressions PRIMARY"],
            &[&phone],
        )
        .await;
}

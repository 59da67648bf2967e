//! The statements about references and groups of recipients.

use chrono::Utc;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::{Null, Plans},
    tables::{analyze, execute, insert_schedules},
};

/// Each recipient has a reference, which one of each schedule has, and one of ten groups.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_about_references_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let names = "INSERT INTO recipient_references (schedule_id, seq, reference, group_name)
        SELECT schedule_id, seq, CONCAT('R', seq), seq % 10 FROM recipients";
    let variables = "INSERT INTO recipient_variables (schedule_id, seq, variables)
        SELECT schedule_id, seq, '{}' FROM recipients";
    execute(&pool, names).await;
    execute(&pool, variables).await;
    let tables = "schedules, recipients, recipient_references, recipient_variables";
    analyze(&pool, tables).await;
    let mut plans = Plans::new(&pool);
    check_found(&mut plans, id).await;
    check_shown(&mut plans, id).await;
    check_copies(&mut plans, id).await;
    plans.assert_none_wrong();
}

async fn check_found(plans: &mut Plans<'_>, id: Uuid) {
    plans
        .check(
            "recipients of a group",
            &["FORCE INDEX (by_group)"],
            &["recipient_references by_group"],
            &[&id, &"7", &"7", &5, &50],
        )
        .await;
    plans
        .check(
            "recipients of a schedule with a reference",
            &["FORCE INDEX (by_reference)", "AND schedule_id = ?"],
            &["recipient_references by_reference"],
            &[&"R7", &"R7", &id, &5, &Null, &Null, &50],
        )
        .await;
    plans
        .check(
            "recipients of all schedules with a reference",
            &["FORCE INDEX (by_reference)", "AND schedule_id <= ?"],
            &["recipient_references by_reference"],
            &[&"R7", &"R7", &Uuid::max(), &Uuid::max(), &5, &50],
        )
        .await;
}

async fn check_shown(plans: &mut Plans<'_>, id: Uuid) {
    plans
        .check(
            "the times of recipients",
            &["SELECT r.sent_at AS", "r.seq = named.seq"],
            &["r PRIMARY"],
            &[&"[1, 7]", &id],
        )
        .await;
    let (keys, now) = (format!(r#"[["{}", 7]]"#, id.simple()), Utc::now());
    plans
        .check(
            "the names of recipients",
            &["SELECT n.", "STRAIGHT_JOIN recipient_references n"],
            &["n PRIMARY"],
            &[&keys],
        )
        .await;
    plans
        .check(
            "recipients at known places",
            &["r.input, r.position", "STRAIGHT_JOIN recipients r"],
            &["r PRIMARY"],
            &[
                &keys, &false, &Null, &Null, &Null, &Null, &Null, &Null, &now, &now, &now,
            ],
        )
        .await;
    plans
        .check(
            "the names that a list brings",
            &["SELECT ?, j.seq, j.reference"],
            &["r PRIMARY"],
            &[&id, &r#"[{"q": 2001, "r": "x", "g": null}]"#, &id],
        )
        .await;
    plans
        .check(
            "the entries of a list whose numbers are known",
            &["r.seq <> j.seq"],
            &["r phone_once"],
            &[&r#"[[2001, "+60121000001"]]"#, &id],
        )
        .await;
    plans
        .check(
            "the names that a list replaces",
            &["DELETE n FROM"],
            &["n PRIMARY"],
            &[&"[7]", &id],
        )
        .await;
    plans
        .check(
            "the variables that a list replaces",
            &["DELETE v FROM"],
            &["v PRIMARY"],
            &[&"[7]", &id],
        )
        .await;
    plans
        .check(
            "the places of references",
            &["recipient_references f"],
            &["f by_reference", "l by_reference"],
            &[&id, &id, &r#"[[0, "R7"]]"#],
        )
        .await;
    plans
        .check(
            "a recipient that has no name any more",
            &["AND reference IS NULL AND group_name IS NULL"],
            &["recipient_references PRIMARY"],
            &[&id, &7],
        )
        .await;
    // Groups are gathered in a temporary table of their own, from a bounded part of the list.
    plans
        .check_sorting(
            "the groups of a part of a list",
            &["GROUP BY BINARY n.group_name"],
            &["r PRIMARY", "n PRIMARY"],
            &[&id, &0, &500, &"INVALID"],
        )
        .await;
}

/// The statements of a list in which a number may occur more than once.
async fn check_copies(plans: &mut Plans<'_>, id: Uuid) {
    plans
        .check(
            "the recipients with the references of a list",
            &["JOIN recipient_references n FORCE INDEX (by_reference)"],
            &["n by_reference", "r PRIMARY"],
            &[&r#"[[0, "R7"]]"#, &id, &id],
        )
        .await;
    plans
        .check(
            "the recipients with the numbers of a list",
            &["SELECT r.phone AS \"phone!\", r.copy"],
            &["r phone_once"],
            &[&r#"["+60121000001"]"#, &id],
        )
        .await;
    plans
        .check(
            "recipients that get another place",
            &["DELETE r FROM"],
            &["r PRIMARY"],
            &[&"[7]", &id],
        )
        .await;
}

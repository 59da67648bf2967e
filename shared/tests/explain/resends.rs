//! The statements of schedules that send again.

use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::Plans,
    tables::{analyze, execute, insert_schedules},
};

/// The second schedule sends again to the recipients of the first.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_a_resend_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let ids = insert_schedules(&pool).await;
    let (old, new) = (ids[0], ids[1]);
    let resends = "INSERT INTO schedule_resends (schedule_id, resend_of, generation, statuses, is_draft, next_seq)
        SELECT id, REVERSE(id), 1, 'UNDELIV', FALSE, 1 FROM schedules";
    let variables = "INSERT INTO recipient_variables (schedule_id, seq, variables)
        SELECT schedule_id, seq, '{}' FROM recipients";
    let names = "INSERT INTO recipient_references (schedule_id, seq, reference, group_name)
        SELECT schedule_id, seq, CONCAT('R', seq), seq % 10 FROM recipients";
    let attempts = "INSERT INTO attempts (schedule_id, seq, attempt, status, sent_at, final_at)
        SELECT schedule_id, seq, 1, 'UNDELIV', created_at, created_at FROM recipients JOIN schedules ON id = schedule_id WHERE seq % 2 = 0";
    for sql in [resends, variables, names, attempts] {
        execute(&pool, sql).await;
    }
    let tables = "schedules, schedule_resends, recipients, recipient_references, recipient_variables, attempts";
    analyze(&pool, tables).await;
    let mut plans = Plans::new(&pool);
    check_found(&mut plans, old).await;
    check_copied(&mut plans, old, new).await;
    plans.assert_none_wrong();
}

async fn check_found(plans: &mut Plans<'_>, old: Uuid) {
    plans
        .check(
            "the newest resend of a schedule",
            &["FROM schedule_resends r FORCE INDEX (by_original)"],
            &["r by_original", "s PRIMARY"],
            &[&old],
        )
        .await;
    let ids = format!(r#"["{}"]"#, old.simple());
    plans
        .check(
            "the links of a page",
            &["STRAIGHT_JOIN schedule_resends o"],
            &["e PRIMARY", "o by_original"],
            &[&ids, &ids],
        )
        .await;
}

async fn check_copied(plans: &mut Plans<'_>, old: Uuid, new: Uuid) {
    plans
        .check(
            "the recipients that are copied",
            &["FIND_IN_SET(r.status, ?)"],
            &[
                "r PRIMARY",
                "e by_original",
                "x phone_once",
                "a PRIMARY",
                "b PRIMARY",
                "t PRIMARY",
            ],
            &[&old, &1, &500, &"UNDELIV", &old, &new, &false, &5_000],
        )
        .await;
    let places = "[[7, 2001]]";
    plans
        .check(
            "the variables that are copied",
            &["SELECT ?, j.new_seq, v.variables"],
            &["v PRIMARY", "r PRIMARY"],
            &[&new, &places, &old, &new],
        )
        .await;
    plans
        .check(
            "the names that are copied",
            &["SELECT ?, j.new_seq, n.reference"],
            &["n PRIMARY", "r PRIMARY"],
            &[&new, &places, &old, &new],
        )
        .await;
}

//! The statements about what schedules are called.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::{Null, Plans},
    tables::{analyze, execute, insert_schedules},
};

/// Every schedule has a reference and two labels, one of which a few have.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_about_names_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    for sql in [
        "UPDATE schedules SET name = 'Sale', reference = LEFT(HEX(id), 11)",
        "INSERT INTO schedule_labels (label, schedule_id) SELECT 'all', id FROM schedules",
        "INSERT INTO schedule_labels (label, schedule_id) SELECT RIGHT(HEX(id), 1), id FROM schedules",
    ] {
        execute(&pool, sql).await;
    }
    analyze(&pool, "schedules, schedule_labels").await;
    let (from, to) = (Utc::now() - TimeDelta::days(1), Utc::now());
    let mut plans = Plans::new(&pool);
    check_finds(&mut plans, from, to).await;
    check_writes(&mut plans, id).await;
    plans.assert_none_wrong();
}

async fn check_finds(plans: &mut Plans<'_>, from: DateTime<Utc>, to: DateTime<Utc>) {
    plans
        .check(
            "schedules with a label",
            &["l.label = ?"],
            &["l PRIMARY", "s PRIMARY"],
            &[&"1", &Null, &Null, &Null, &Null, &from, &to, &"%", &50],
        )
        .await;
    plans
        .check(
            "schedules with a reference",
            &["FROM schedules FORCE INDEX (by_reference)"],
            &["schedules by_reference"],
            &[&"0190A0B0C0D", &Null, &Null, &from, &to, &"%", &50],
        )
        .await;
    plans
        .check(
            "a search of the newest schedules",
            &["SELECT id FROM schedules FORCE INDEX (PRIMARY) ORDER BY id DESC LIMIT ?"],
            &["schedules PRIMARY", "s PRIMARY"],
            &[&50, &Null, &Null, &from, &to, &"%sale%"],
        )
        .await;
}

async fn check_writes(plans: &mut Plans<'_>, id: Uuid) {
    plans
        .check(
            "the names of a schedule",
            &["SET name = ?, reference = ?, labels = ?"],
            &["schedules PRIMARY"],
            &[&"Sale", &"S-1", &"[\"a\"]", &id],
        )
        .await;
    plans
        .check(
            "the labels that a schedule had",
            &["DELETE FROM schedule_labels"],
            &["schedule_labels by_schedule"],
            &[&id],
        )
        .await;
}

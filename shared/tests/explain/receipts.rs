//! The statements of a delivery receipt. They find a message by the key of the number, never by an
//! id, and then use primary keys.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{
    plans::Plans,
    tables::{analyze, execute, insert_schedules},
};

/// The values that the statements take.
struct Values {
    id: Uuid,
    now: DateTime<Utc>,
    /// Receipts whose messages are looked up.
    receipts: String,
    /// Receipts to record, which have the columns of all statements.
    records: String,
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_statement_of_a_receipt_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let id = insert_schedules(&pool).await[0];
    let attempts = "INSERT INTO attempts (schedule_id, seq, attempt, status, sent_at)
        SELECT schedule_id, seq, 9, 'UNCERTAIN', NOW() FROM recipients";
    execute(&pool, attempts).await;
    analyze(&pool, "attempts").await;
    let hex = id.simple();
    let values = Values {
        id,
        now: Utc::now(),
        receipts: format!(
            r#"[{{"n":0,"p":"+60121000001","i":"m","s":null,"q":null,"a":null}},
                {{"n":1,"p":"+60121000002","i":"{hex}-2-1","s":"{hex}","q":2,"a":1}}]"#
        ),
        records: format!(
            r#"[{{"i":"{hex}","q":1,"a":1,"s":"DELIVRD","w":"DELIVRD","m":"m","f":1,"l":9,"n":1,"t":"2030-01-01 00:00:00"}}]"#
        ),
    };
    let mut plans = Plans::new(&pool);
    check_lookup(&mut plans, &values).await;
    check_recording(&mut plans, &values).await;
    check_recheck(&mut plans, &values).await;
    plans.assert_none_wrong();
}

async fn check_lookup(plans: &mut Plans<'_>, values: &Values) {
    plans
        .check(
            "the messages of receipts",
            &["FORCE INDEX (phone_once) ON r.phone", "r.sent_at > ?"],
            &["r phone_once", "s PRIMARY"],
            &[&values.receipts, &(values.now - TimeDelta::minutes(15))],
        )
        .await;
    plans
        .check(
            "the earlier attempts of receipts",
            &[
                "FORCE INDEX (phone_once) ON r.phone",
                "STRAIGHT_JOIN attempts a",
            ],
            &["r phone_once", "a PRIMARY", "s PRIMARY"],
            &[&values.receipts],
        )
        .await;
}

async fn check_recording(plans: &mut Plans<'_>, values: &Values) {
    let Values { now, records, .. } = values;
    plans
        .check(
            "record receipts",
            &["UPDATE recipients r JOIN", "j.status = 'ACCEPTD'"],
            &["r PRIMARY"],
            &[records, now],
        )
        .await;
    plans
        .check(
            "record late receipts",
            &["UPDATE attempts a JOIN", "j.status = 'ACCEPTD'"],
            &["a PRIMARY"],
            &[records, now],
        )
        .await;
}

async fn check_recheck(plans: &mut Plans<'_>, values: &Values) {
    let Values { id, records, .. } = values;
    plans
        .check(
            "the batches of a range",
            &["FORCE INDEX (by_last_seq)", "b.first_seq <= ?"],
            &["b by_last_seq"],
            &[&3, id, &1, &20, &20, id, &20],
        )
        .await;
    plans
        .check(
            "the open messages of a batch",
            &["EXISTS (SELECT 1 FROM recipients", "status = 'UNCERTAIN')"],
            &["recipients PRIMARY"],
            &[id, &1, &20, id, &1, &20],
        )
        .await;
    plans
        .check(
            "bring a recheck forward",
            &["COALESCE(b.check_at, j.t)"],
            &["b PRIMARY"],
            &[records],
        )
        .await;
}

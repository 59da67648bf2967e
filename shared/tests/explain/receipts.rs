//! What a receipt asks and writes: by the key of the number, never by an id, and then by primary keys.

use chrono::{TimeDelta, Utc};
use sqlx::MySqlPool;

use crate::{Plan, complaints, explain, fill, statement};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn every_statement_of_a_receipt_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let ids = fill(&pool).await;
    let (id, now) = (ids[0], Utc::now());
    let kept = "INSERT INTO attempts (schedule_id, seq, attempt, status, sent_at) SELECT schedule_id, seq, 9, 'UNCERTAIN', NOW() FROM recipients";
    sqlx::query(kept).execute(&pool).await.unwrap();
    sqlx::raw_sql("ANALYZE TABLE attempts")
        .execute(&pool)
        .await
        .unwrap();
    let hex = id.simple();
    let wanted = format!(
        r#"[{{"n":0,"p":"+60121000001","i":"m","s":null,"q":null,"a":null}},{{"n":1,"p":"+60121000002","i":"{hex}-2-1","s":"{hex}","q":2,"a":1}}]"#
    );
    let said = format!(
        r#"[{{"i":"{hex}","q":1,"a":1,"s":"DELIVRD","w":"DELIVRD","m":"m","f":1,"l":9,"n":1,"t":"2030-01-01 00:00:00"}}]"#
    );
    let mut wrong = Vec::new();
    let mut check =
        |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));

    let sql = statement(&["FORCE INDEX (phone_once) ON r.phone", "r.sent_at > ?"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(wanted.clone()).bind(now - TimeDelta::minutes(15))
    })
    .await;
    check(
        "whose a receipt is",
        plan,
        &[("r", "phone_once"), ("s", "PRIMARY")],
    );

    let sql = statement(&[
        "FORCE INDEX (phone_once) ON r.phone",
        "STRAIGHT_JOIN attempts a",
    ]);
    let plan = explain(&pool, &sql, |q| q.bind(wanted.clone())).await;
    check(
        "likewise among the attempts",
        plan,
        &[("r", "phone_once"), ("a", "PRIMARY"), ("s", "PRIMARY")],
    );

    let sql = statement(&["UPDATE recipients r JOIN", "j.status = 'ACCEPTD'"]);
    let plan = explain(&pool, &sql, |q| q.bind(said.clone()).bind(now)).await;
    check("record receipts", plan, &[("r", "PRIMARY")]);

    let sql = statement(&["UPDATE attempts a JOIN", "j.status = 'ACCEPTD'"]);
    let plan = explain(&pool, &sql, |q| q.bind(said.clone()).bind(now)).await;
    check("record late receipts", plan, &[("a", "PRIMARY")]);

    let sql = statement(&["b.last_seq >= j.f AND b.first_seq <= j.l"]);
    let plan = explain(&pool, &sql, |q| q.bind(3).bind(said.clone())).await;
    check("the batches of stretches", plan, &[("b", "PRIMARY")]);

    let sql = statement(&["EXISTS (SELECT 1 FROM recipients", "status = 'UNCERTAIN')"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(id).bind(1).bind(20).bind(id).bind(1).bind(20)
    })
    .await;
    check(
        "what is left of a batch",
        plan,
        &[("recipients", "PRIMARY")],
    );

    let sql = statement(&["COALESCE(b.check_at, j.t)"]);
    let plan = explain(&pool, &sql, |q| q.bind(said.clone())).await;
    check("bring a recheck forward", plan, &[("b", "PRIMARY")]);

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

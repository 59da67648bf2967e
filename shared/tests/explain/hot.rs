//! What a batch and the sweep ask.

use chrono::{TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{Plan, complaints, explain, fill, statement};

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn every_hot_statement_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let ids = fill(&pool).await;
    let id = ids[0];
    let (now, token) = (Utc::now(), Uuid::new_v4());
    // One batch that somebody owned: statements that name its token find it.
    let sql = "UPDATE batches SET claim_token = ?, claimed_until = ?, send_at = ? WHERE schedule_id = ? AND batch_no = 1";
    let past = now - TimeDelta::seconds(1);
    sqlx::query(sql)
        .bind(token)
        .bind(past)
        .bind(past)
        .bind(id)
        .execute(&pool)
        .await
        .unwrap();
    let rows = r#"[{"q":1,"a":1,"k":0,"r":0,"s":"ACCEPTD","m":"x","e":null,"f":0}]"#;
    let mut wrong = Vec::new();
    let mut check =
        |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));

    let sql = statement(&[
        "b.tries = b.tries + 1",
        "s.status IN ('running', 'cancelled')",
    ]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(token)
            .bind(now)
            .bind(now)
            .bind(id)
            .bind(1)
            .bind(now)
            .bind(now)
            .bind(3)
    })
    .await;
    check("claim to send", plan, &[("b", "PRIMARY"), ("s", "PRIMARY")]);

    let sql = statement(&["UPDATE batches SET crashes = crashes + 1"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(token)
            .bind(now)
            .bind(now)
            .bind(id)
            .bind(1)
            .bind(now)
            .bind(now)
            .bind(3)
    })
    .await;
    check("claim to check", plan, &[("batches", "PRIMARY")]);

    let sql = statement(&["FROM batches b JOIN schedules s", "b.claim_token = ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(token)).await;
    check(
        "read the claimed batch",
        plan,
        &[("b", "PRIMARY"), ("s", "PRIMARY")],
    );

    let sql = statement(&[
        "FROM recipients WHERE schedule_id = ? AND seq BETWEEN ? AND ?",
        "attempt, resends",
        "ORDER BY seq",
    ]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(20)).await;
    check("read open recipients", plan, &[("recipients", "PRIMARY")]);

    let sql = statement(&["r.error = 'owner lost'"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(1).bind(id).bind(1).bind(20).bind(token)
    })
    .await;
    check(
        "mark leftovers",
        plan,
        &[("r", "PRIMARY"), ("b", "PRIMARY")],
    );

    let sql = statement(&["SET r.resends = r.resends + j.resend"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(rows)
            .bind(1)
            .bind(now)
            .bind(now)
            .bind(id)
            .bind(token)
            .bind(token)
            .bind(token)
    })
    .await;
    check(
        "flush",
        plan,
        &[("r", "PRIMARY"), ("b", "PRIMARY"), ("s", "PRIMARY")],
    );

    let sql = statement(&["INSERT INTO attempts", "b.claim_token = ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(rows).bind(id).bind(1).bind(token)).await;
    check(
        "keep attempts",
        plan,
        &[("r", "PRIMARY"), ("b", "PRIMARY"), ("s", "PRIMARY")],
    );

    let sql = statement(&["SET r.carrier_status = j.word", "b.claim_token = ?"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(rows).bind(1).bind(now).bind(id).bind(token)
    })
    .await;
    check(
        "record verdicts",
        plan,
        &[("r", "PRIMARY"), ("b", "PRIMARY")],
    );

    let sql = statement(&["AS again"]);
    let plan = explain(&pool, &sql, |q| {
        let q = q.bind(2).bind(true).bind(now).bind(id).bind(1).bind(20);
        let q = q
            .bind(true)
            .bind(1)
            .bind(true)
            .bind(now)
            .bind(now)
            .bind(now)
            .bind(now);
        q.bind(id).bind(1).bind(token)
    })
    .await;
    check(
        "release",
        plan,
        &[("b", "PRIMARY"), ("recipients", "PRIMARY")],
    );

    let sql = statement(&["UPDATE schedules s LEFT JOIN batches b"]);
    let plan = explain(&pool, &sql, |q| q.bind(now).bind(id)).await;
    check("finish", plan, &[("s", "PRIMARY"), ("b", "still_open")]);

    let sql = statement(&["WHERE b.sweep_at <= ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(now).bind(1000)).await;
    check("due batches", plan, &[("b", "due"), ("s", "PRIMARY")]);

    let sql = statement(&["status = 'scheduled' AND run_at <= ?"]);
    let plan = explain(&pool, &sql, |q| q.bind(now + TimeDelta::seconds(90))).await;
    check("schedules to cut", plan, &[("schedules", "to_cut")]);

    let sql = statement(&["WHERE s.status = 'running' AND NOT EXISTS"]);
    let plan = explain(&pool, &sql, |q| q).await;
    check(
        "running schedules with nothing to do",
        plan,
        &[("s", "by_status"), ("b", "still_open")],
    );

    let sql = statement(&["AS \"schedule_open!: bool\""]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1)).await;
    check(
        "what a release has set",
        plan,
        &[("b", "PRIMARY"), ("o", "still_open")],
    );

    let sql = statement(&["b.requeues + j.r"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(r#"[{"i":"00","n":1,"o":"2030-01-01","t":"2030-01-01","r":1}]"#)
    })
    .await;
    check("push back", plan, &[("b", "PRIMARY")]);

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

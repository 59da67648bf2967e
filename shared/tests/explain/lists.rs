//! What the lists of the API ask.

use chrono::{TimeDelta, Utc};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::{Plan, complaints, explain, fill, statement};

/// What the lists of schedules and messages ask, and who has opted out; with 900 numbers that have.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn every_statement_of_the_lists_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let ids = fill(&pool).await;
    let (id, now) = (ids[0], Utc::now());
    let day_before = now - TimeDelta::days(1);
    let opted_out =
        "INSERT INTO suppressions (phone, source, created_at, created_by) WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1
        FROM n WHERE n < 900) SELECT CONCAT('+6013', 1000000 + n), 'api', NOW(), 'nobody' FROM n";
    sqlx::query(opted_out).execute(&pool).await.unwrap();
    let variables = "INSERT INTO recipient_variables (schedule_id, seq, variables) SELECT schedule_id, seq, '{}' FROM recipients";
    sqlx::query(variables).execute(&pool).await.unwrap();
    sqlx::raw_sql(
        "ANALYZE TABLE schedules, recipients, recipient_variables, batches, attempts, suppressions",
    )
    .execute(&pool)
    .await
    .unwrap();
    let mut wrong = Vec::new();
    let mut check =
        |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));
    let none = None::<String>;

    let sql = statement(&["STRAIGHT_JOIN suppressions s"]);
    let plan = explain(&pool, &sql, |q| q.bind(r#"["+60131000001"]"#)).await;
    check("who has opted out", plan, &[("s", "PRIMARY")]);

    let sql = statement(&["FROM suppressions", "phone > ?"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind("+60131000001")
            .bind(none.clone())
            .bind(none.clone())
            .bind(50)
    });
    check(
        "a page of opt-outs",
        plan.await,
        &[("suppressions", "PRIMARY")],
    );

    let sql = statement(&["FORCE INDEX (phone_once)", "ORDER BY schedule_id DESC"]);
    let plan = explain(&pool, &sql, |q| {
        let q = q
            .bind("+60121000001")
            .bind(Uuid::max())
            .bind(none.clone())
            .bind(none.clone());
        q.bind(none.clone())
            .bind(none.clone())
            .bind(none.clone())
            .bind(none.clone())
            .bind(50)
    });
    check(
        "messages of a number",
        plan.await,
        &[("recipients", "phone_once")],
    );

    let sql = statement(&["status <> 'INVALID' AND (? IS NULL"]);
    let plan = explain(&pool, &sql, |q| {
        let q = q.bind(id).bind(5).bind(none.clone()).bind(none.clone());
        q.bind(none.clone())
            .bind(none.clone())
            .bind(none.clone())
            .bind(none.clone())
            .bind(50)
    });
    check(
        "messages of a schedule",
        plan.await,
        &[("recipients", "PRIMARY")],
    );

    let sql = statement(&["FORCE INDEX (by_time)", "id <= ?"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(now)
            .bind(now)
            .bind(id)
            .bind(now)
            .bind(now)
            .bind(now)
            .bind(20)
    });
    check(
        "schedules that may have sent",
        plan.await,
        &[("schedules", "by_time")],
    );

    for (order, place) in [
        ("ORDER BY run_at, id", day_before),
        ("ORDER BY run_at DESC, id DESC LIMIT ?", now),
    ] {
        let sql = statement(&["FORCE INDEX (by_time)", "COALESCE(?, status)", order]);
        let plan = explain(&pool, &sql, |q| {
            q.bind(place)
                .bind(place)
                .bind(id)
                .bind(day_before)
                .bind(now)
                .bind(none.clone())
                .bind(50)
        });
        check(order, plan.await, &[("schedules", "by_time")]);
    }

    let sql = statement(&["SELECT seq, variables FROM recipient_variables"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(5)).await;
    check(
        "the variables of a batch",
        plan,
        &[("recipient_variables", "PRIMARY")],
    );

    let sql = statement(&["STRAIGHT_JOIN recipient_variables v"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(format!(r#"[["{}", 1]]"#, id.simple()))
    })
    .await;
    check("the variables of a page", plan, &[("v", "PRIMARY")]);

    let sql = statement(&["LEFT JOIN recipient_variables v"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(5).bind(50)).await;
    check(
        "whom another message needs a text for",
        plan,
        &[("r", "PRIMARY"), ("v", "PRIMARY")],
    );

    let sql = statement(&["SELECT batch_no, pending FROM batches"]);
    check(
        "what is spread over a window",
        explain(&pool, &sql, |q| q.bind(id)).await,
        &[("batches", "PRIMARY")],
    );

    let sql = statement(&["sweep DATETIME(3)"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(r#"[[1, "2030-01-01 00:00:00", "2030-01-01 00:00:00"]]"#)
            .bind(id)
    })
    .await;
    check("its new times", plan, &[("b", "PRIMARY")]);

    let sql = statement(&["SUM(pending) OVER"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(5)
            .bind(id)
            .bind(now)
            .bind(now)
            .bind(now)
            .bind(now)
            .bind(75)
            .bind(id)
    });
    let plan: Plan = plan
        .await
        .into_iter()
        .map(|(table, key, extra)| (table, key, extra.replace("Using filesort", "")))
        .collect();
    check(
        "another rate, once, over one schedule's batches",
        plan,
        &[("b", "PRIMARY")],
    );

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

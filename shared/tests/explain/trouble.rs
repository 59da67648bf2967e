//! What a person who looks at trouble asks.

use chrono::{TimeDelta, Utc};
use sqlx::MySqlPool;

use crate::{Plan, complaints, explain, fill, statement};

/// The lists of what needs a person, and what a person does about it; where a few hundred of two thousand batches are in trouble.
#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn every_statement_about_trouble_uses_its_key_and_sorts_nothing(pool: MySqlPool) {
    let id = fill(&pool).await[0];
    let trouble = "UPDATE batches SET missed_at = IF(batch_no % 10 = 1, planned_at, NULL), crashes = IF(batch_no % 10 = 3, 3, 0),
        uncertain = IF(batch_no % 10 = 5, 7, 0)";
    sqlx::query(trouble).execute(&pool).await.unwrap();
    sqlx::raw_sql("ANALYZE TABLE schedules, recipients, batches, attempts")
        .execute(&pool)
        .await
        .unwrap();
    let now = Utc::now();
    let mut wrong = Vec::new();
    let mut check =
        |what: &str, plan: Plan, keys: &[(&str, &str)]| wrong.extend(complaints(what, &plan, keys));

    let plan = explain(&pool, &statement(&["missed_at >= ?"]), |q| {
        q.bind(now).bind(now).bind(id).bind(id).bind(1).bind(50)
    })
    .await;
    check("missed batches", plan, &[("batches", "missed")]);

    let sql = statement(&["FORCE INDEX (due)", "crashes >= ?", "ORDER BY"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(now)
            .bind(now)
            .bind(id)
            .bind(id)
            .bind(1)
            .bind(3)
            .bind(now)
            .bind(50)
    })
    .await;
    check("parked batches", plan, &[("batches", "due")]);

    let sql = statement(&["uncertain >= ?"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(1)
            .bind(1)
            .bind(id)
            .bind(id)
            .bind(1)
            .bind(now)
            .bind(50)
    });
    check(
        "uncertain batches",
        plan.await,
        &[("batches", "with_uncertain")],
    );

    let sql = statement(&["FORCE INDEX (due)", "b.crashes < ?", "ORDER BY"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(now)
            .bind(now)
            .bind(id)
            .bind(id)
            .bind(1)
            .bind(3)
            .bind(now)
            .bind(now)
            .bind(50)
    });
    check(
        "overdue batches",
        plan.await,
        &[("b", "due"), ("s", "PRIMARY")],
    );

    let sql = statement(&["FORCE INDEX (to_cut)"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(now)
            .bind(now + TimeDelta::minutes(5))
            .bind(now)
            .bind(id)
            .bind(50)
    })
    .await;
    check("overdue schedules", plan, &[("schedules", "to_cut")]);

    let plan = explain(&pool, &statement(&["status = 'paused' AND id < ?"]), |q| {
        q.bind(id).bind(50)
    })
    .await;
    check(
        "schedules paused by the system",
        plan,
        &[("schedules", "by_status")],
    );

    let plan = explain(&pool, &statement(&["WHERE status = ? AND id < ?"]), |q| {
        q.bind("missed").bind(id).bind(now).bind(now).bind(50)
    })
    .await;
    check("schedules in a state", plan, &[("schedules", "by_status")]);

    let sql = statement(&["AS \"missed_schedules!: i64\""]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(3)
            .bind(now)
            .bind(now)
            .bind(3)
            .bind(now)
            .bind(now)
            .bind(now)
    })
    .await;
    check(
        "counts of trouble",
        plan,
        &[
            ("schedules", "by_status"),
            ("batches", "missed"),
            ("batches", "due"),
            ("b", "due"),
        ],
    );

    let sql = statement(&["named.batch_no", "CONCAT_WS"]);
    let names = format!("[[0, \"{}\", 1]]", id.simple());
    let plan = explain(&pool, &sql, |q| q.bind(names.clone())).await;
    check(
        "batches by name",
        plan,
        &[("b", "PRIMARY"), ("s", "PRIMARY")],
    );

    let sql = statement(&["WHEN claimed_until >= ? THEN 'claimed'"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(3)
            .bind(now)
            .bind(now)
            .bind(id)
            .bind(1)
            .bind("done")
            .bind("done")
            .bind(50)
    })
    .await;
    check("batches of a schedule", plan, &[("batches", "PRIMARY")]);

    let sql = statement(&["SET crashes = 0"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(now).bind(id).bind(1).bind(1).bind(3).bind(now)
    })
    .await;
    check("retry", plan, &[("batches", "PRIMARY")]);

    let sql = statement(&["SELECT DISTINCT named.id"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(format!("[[\"{}\", 1]]", id.simple()))
            .bind(now)
            .bind(now)
    })
    .await;
    check("sweep soon", plan, &[("b", "PRIMARY")]);

    let sql = statement(&["status = 'UNCERTAIN' ORDER BY seq FOR UPDATE"]);
    let plan = explain(&pool, &sql, |q| q.bind(id).bind(1).bind(20)).await;
    check(
        "lock uncertain recipients",
        plan,
        &[("recipients", "PRIMARY")],
    );

    let plan = explain(&pool, &statement(&["'resolved as sent'"]), |q| {
        q.bind("[1, 2]").bind(now).bind(id)
    })
    .await;
    check("close as sent", plan, &[("r", "PRIMARY")]);

    let plan = explain(&pool, &statement(&["SET r.status = 'PENDING'"]), |q| {
        q.bind("[1, 2]").bind(id)
    })
    .await;
    check("send again", plan, &[("r", "PRIMARY")]);

    let sql = statement(&["SET b.pending = c.pending"]);
    let plan = explain(&pool, &sql, |q| {
        q.bind(id)
            .bind(1)
            .bind(20)
            .bind(now)
            .bind(now)
            .bind(now)
            .bind(now)
            .bind(id)
            .bind(1)
    });
    check(
        "recount",
        plan.await,
        &[("b", "PRIMARY"), ("recipients", "PRIMARY")],
    );

    let plan = explain(
        &pool,
        &statement(&["CONVERT(j.phone USING ascii)", "r.seq"]),
        |q| q.bind("[\"+60121000001\"]").bind(id),
    )
    .await;
    check("recipients by number", plan, &[("r", "phone_once")]);

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

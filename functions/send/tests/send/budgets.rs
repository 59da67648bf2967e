//! Nothing is sent beyond a budget, whatever happens to the passes; everything is, once it is raised.

use std::time::Duration;

use futures_util::future::join_all;
use shared::platform::{
    metrics::{Counter, collect},
    queue::BatchMessage,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{INVOCATION, Stage, fixture, webhooks};
use uuid::Uuid;

use crate::{dispatch, spending::price};

/// Sets a budget of a month.
async fn budget(stage: &Stage, scope: &str, unit: &str, amount: u64) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query("INSERT INTO budgets (id, scope, period, unit, amount, created_at, updated_at) VALUES (?, ?, 'month', ?, ?, NOW(3), NOW(3))")
        .bind(id)
        .bind(scope)
        .bind(unit)
        .bind(amount)
        .execute(&stage.db)
        .await
        .unwrap();
    id
}

async fn raise(stage: &Stage, id: Uuid, amount: u64) {
    sqlx::query("UPDATE budgets SET amount = ? WHERE id = ?")
        .bind(amount)
        .bind(id)
        .execute(&stage.db)
        .await
        .unwrap();
}

async fn used(stage: &Stage, id: Uuid) -> u64 {
    let used = sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(used), 0) AS UNSIGNED) FROM spending WHERE budget_id = ?",
    );
    used.bind(id).fetch_one(&stage.db).await.unwrap()
}

async fn pause_reason(stage: &Stage, schedule: Uuid) -> Option<String> {
    sqlx::query_scalar("SELECT pause_reason FROM schedules WHERE id = ?")
        .bind(schedule)
        .fetch_one(&stage.db)
        .await
        .unwrap()
}

/// Resumes a schedule, and returns its batches.
async fn resume(stage: &Stage, schedule: Uuid) -> Vec<BatchMessage> {
    let sql = "UPDATE schedules SET status = 'running', paused_at = NULL, pause_reason = NULL WHERE id = ? AND status = 'paused'";
    sqlx::query(sql)
        .bind(schedule)
        .execute(&stage.db)
        .await
        .unwrap();
    let sql = "UPDATE batches SET waiting = 0, send_at = IF(pending > 0, ?, send_at), sweep_at = COALESCE(sweep_at, ?) WHERE schedule_id = ? AND pending > 0";
    sqlx::query(sql)
        .bind(stage.db.now())
        .bind(stage.db.now())
        .bind(schedule)
        .execute(&stage.db)
        .await
        .unwrap();
    let numbers: Vec<u32> =
        sqlx::query_scalar("SELECT batch_no FROM batches WHERE schedule_id = ?")
            .bind(schedule)
            .fetch_all(&stage.db)
            .await
            .unwrap();
    let batch = |batch_no| BatchMessage {
        schedule_id: schedule,
        batch_no,
    };
    numbers.into_iter().map(batch).collect()
}

/// A schedule with so many recipients, whose messages have two parts.
fn list(recipients: u32) -> fixture::Schedule {
    fixture::Schedule {
        recipients,
        parts: 2,
        ..fixture::Schedule::default()
    }
}

async fn started(stage: &Stage, schedule: fixture::Schedule) -> (Uuid, Vec<BatchMessage>) {
    let message = schedule.insert(&stage.db).await;
    dispatch(stage, message).await;
    (message.schedule_id, stage.send_queue.take_batches())
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn only_what_fits_is_sent_and_the_rest_once_the_budget_is_raised(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    // Seven messages of two parts.
    let id = budget(&stage, "system", "parts", 15).await;
    let (schedule, batches) = started(&stage, list(12)).await;
    for batch in batches {
        stage.send(batch).await;
    }
    assert_eq!(stage.simulator.carrier().accepted(), 7);
    assert_eq!(used(&stage, id).await, 14);
    assert_eq!(fixture::status(&stage.db, schedule).await, "paused");
    let reason = pause_reason(&stage, schedule).await.unwrap();
    assert!(
        reason.starts_with("budget of system: 14 of 15 parts used this month, until "),
        "{reason}"
    );
    assert_eq!(fixture::count(&stage.db, schedule, "PENDING").await, 5);

    // A resume without room pauses again, and sends nothing.
    for batch in resume(&stage, schedule).await {
        stage.send(batch).await;
    }
    assert_eq!(fixture::status(&stage.db, schedule).await, "paused");
    assert_eq!(stage.simulator.carrier().accepted(), 7);

    raise(&stage, id, 24).await;
    for batch in resume(&stage, schedule).await {
        stage.send(batch).await;
    }
    assert_eq!(fixture::status(&stage.db, schedule).await, "running");
    assert!(stage.acceptances().iter().all(|(_, times)| *times == 1));
    assert_eq!(stage.simulator.carrier().accepted(), 12);
    assert_eq!(used(&stage, id).await, 24);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn passes_at_the_same_time_never_exceed_a_budget_together(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let id = budget(&stage, "system", "parts", 40).await;
    let (schedule, batches) = started(&stage, list(40)).await;
    assert!(batches.len() > 4, "{}", batches.len());
    join_all(batches.into_iter().map(|batch| stage.send(batch))).await;
    let accepted = stage.simulator.carrier().accepted() as u64;
    assert!(accepted <= 20, "{accepted}");
    assert_eq!(used(&stage, id).await, accepted * 2);
    // Whoever found nothing left has paused it; until the budget is used up, a resume continues.
    for _ in 0..10 {
        for batch in resume(&stage, schedule).await {
            stage.send(batch).await;
        }
    }
    assert_eq!(stage.simulator.carrier().accepted(), 20);
    assert_eq!(used(&stage, id).await, 40);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_is_not_accepted_is_given_back_and_resends_count_again(pool: MySqlPool) {
    let settings = Settings {
        busy_429: 1.0,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let id = budget(&stage, "system", "parts", 14).await;
    let (schedule, batches) = started(&stage, list(5)).await;
    stage.send(batches[0]).await;
    assert_eq!(used(&stage, id).await, 0, "nothing was accepted");
    let undelivered = Settings {
        undeliv: 1.0,
        delivery_delay_ms_min: 0,
        delivery_delay_ms_max: 0,
        ..Settings::default()
    };
    stage.simulator.carrier().set(undelivered).unwrap();
    for _ in 0..30 {
        stage.db.clock.advance(Duration::from_secs(60));
        stage.dispatcher.sweep(|| true).await.unwrap();
        stage.work().await;
    }
    // Five messages, and two of them again.
    assert_eq!(stage.simulator.carrier().accepted(), 7);
    assert_eq!(used(&stage, id).await, 14);
    assert_eq!(fixture::status(&stage.db, schedule).await, "paused");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_crash_leaves_its_reservation_counted(pool: MySqlPool) {
    let settings = Settings {
        hang_after_accept: 1.0,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let id = budget(&stage, "system", "parts", 16).await;
    let (schedule, batches) = started(&stage, list(10)).await;
    let killed = tokio::time::timeout(Duration::from_secs(1), stage.send(batches[0])).await;
    assert!(killed.is_err());
    assert_eq!(used(&stage, id).await, 10);
    stage.simulator.carrier().set(Settings::default()).unwrap();
    stage.db.clock.advance(INVOCATION + Duration::from_secs(11));
    for batch in &batches {
        stage.send(*batch).await;
    }
    // The five that may have been sent, and three more.
    assert_eq!(stage.simulator.carrier().accepted(), 8);
    assert_eq!(used(&stage, id).await, 16);
    assert_eq!(fixture::status(&stage.db, schedule).await, "paused");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_budget_of_money_counts_prices_and_the_highest_one_for_what_has_none(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let version = price(&stage, 10_000).await;
    let first = fixture::phone(1);
    sqlx::query("INSERT INTO prices (version, prefix, micros) VALUES (?, ?, 30000)")
        .bind(version)
        .bind(&first[1..])
        .execute(&stage.db)
        .await
        .unwrap();
    sqlx::query("UPDATE prices SET prefix = LEFT(?, 11) WHERE version = ? AND micros = 10000")
        .bind(&fixture::phone(2)[1..])
        .bind(version)
        .execute(&stage.db)
        .await
        .unwrap();
    // 3 and 1 cents for the first two numbers, and 3 for each of the others; two parts each.
    let id = budget(&stage, "system", "money", 210_000).await;
    let (schedule, batches) = started(&stage, list(5)).await;
    stage.send(batches[0]).await;
    assert_eq!(stage.simulator.carrier().accepted(), 4);
    assert_eq!(used(&stage, id).await, 60_000 + 20_000 + 60_000 + 60_000);
    assert_eq!(fixture::status(&stage.db, schedule).await, "paused");
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_budget_holds_for_its_creator_and_the_keys_of_a_person(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let (person, key) = (Uuid::now_v7(), Uuid::now_v7());
    sqlx::query("INSERT INTO api_keys (id, name, prefix, hash, permissions, created_by, created_at, user_id) VALUES (?, 'k', 'abcdefgh', ?, '', 't', NOW(3), ?)")
        .bind(key)
        .bind(vec![7_u8; 32])
        .bind(person)
        .execute(&stage.db)
        .await
        .unwrap();
    let of_person = budget(&stage, &format!("user:{person}"), "parts", 6).await;
    let of_key = budget(&stage, &format!("key:{key}"), "parts", 100).await;
    let of_other = budget(&stage, &format!("user:{}", Uuid::now_v7()), "parts", 0).await;
    let (schedule, batches) = started(&stage, list(5)).await;
    sqlx::query("UPDATE schedules SET created_by = ? WHERE id = ?")
        .bind(format!("key:{key}"))
        .bind(schedule)
        .execute(&stage.db)
        .await
        .unwrap();
    stage.send(batches[0]).await;
    assert_eq!(stage.simulator.carrier().accepted(), 3);
    for (id, parts) in [(of_person, 6), (of_key, 6), (of_other, 0)] {
        assert_eq!(used(&stage, id).await, parts);
    }
    let reason = pause_reason(&stage, schedule).await.unwrap();
    assert!(
        reason.starts_with(&format!("budget of user:{person}: ")),
        "{reason}"
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn suppressed_recipients_need_no_budget(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let id = budget(&stage, "system", "parts", 6).await;
    let (schedule, batches) = started(&stage, list(5)).await;
    crate::suppressions::opt_out(&stage.db, 1).await;
    crate::suppressions::opt_out(&stage.db, 2).await;
    stage.send(batches[0]).await;
    assert_eq!(fixture::status(&stage.db, schedule).await, "running");
    assert_eq!(stage.simulator.carrier().accepted(), 3);
    assert_eq!(used(&stage, id).await, 6);
}

/// Sends a batch, and returns how many warnings and pauses because of budgets it has counted.
async fn alarms(stage: &Stage, batch: BatchMessage) -> [u64; 2] {
    let figures = collect(stage.send(batch)).await.1;
    let counters = [Counter::BudgetWarnings, Counter::BudgetsReached];
    counters.map(|counter| figures.count(counter))
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_budget_warns_once_in_its_period_and_tells_when_it_is_reached(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    budget(&stage, "system", "parts", 24).await;
    let types = "budget.warning,budget.reached";
    let webhook = webhooks::insert(&stage.db, "https://example.com/hook", types).await;
    let mut warned = Vec::new();
    let (_, batches) = started(&stage, list(15)).await;
    for batch in batches {
        warned.push(alarms(&stage, batch).await);
    }
    // 10 of 24, 20 of 24, and room for two more messages.
    assert_eq!(warned, [[0, 0], [1, 0], [0, 1]]);
    let (other, batches) = started(&stage, list(5)).await;
    let batch = batches.into_iter().find(|batch| batch.schedule_id == other);
    assert_eq!(alarms(&stage, batch.unwrap()).await, [0, 1]);
    let events = webhooks::events(&stage.db, webhook).await;
    assert_eq!(events, ["budget.warning", "budget.reached"]);
    let data: String = sqlx::query_scalar(
        "SELECT data FROM webhook_deliveries WHERE type = 'budget.reached' AND schedule_id IS NULL",
    )
    .fetch_one(&stage.db)
    .await
    .unwrap();
    for member in [r#""scope":"system""#, r#""used":"24""#, r#""amount":"24""#] {
        assert!(data.contains(member), "{data}");
    }
    assert_eq!(stage.notify_queue.take_deliveries().len(), 2);
}

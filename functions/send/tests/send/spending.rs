//! What is sent is counted at the prices of the schedule's cut.

use shared::money::{costs::read_spent, prices::list_of_schedule};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{dispatch, five};

/// Inserts a list of prices with one price for all test numbers.
pub async fn price(stage: &Stage, micros: u64) -> u32 {
    let done = sqlx::query("INSERT INTO price_lists (id, currency, price_count, created_at, created_by) VALUES (?, 'EUR', 1, NOW(3), 'test')")
        .bind(uuid::Uuid::new_v4())
        .execute(&stage.db)
        .await
        .unwrap();
    let version = done.last_insert_id() as u32;
    let prefix = &fixture::phone(1)[1..4];
    sqlx::query("INSERT INTO prices (version, prefix, micros) VALUES (?, ?, ?)")
        .bind(version)
        .bind(prefix)
        .bind(micros)
        .execute(&stage.db)
        .await
        .unwrap();
    version
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_schedule_costs_the_prices_of_its_cut_and_resends_count_again(pool: MySqlPool) {
    let settings = Settings {
        undeliv: 1.0,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let schedule = five().insert(&stage.db).await;
    let first = price(&stage, 20_000).await;
    dispatch(&stage, schedule).await;
    price(&stage, 990_000).await;
    stage.play().await;
    let mut connection = stage.db.acquire().await.unwrap();
    let list = list_of_schedule(&mut connection, schedule.schedule_id)
        .await
        .unwrap();
    assert_eq!(list.unwrap().version, first);
    let spent = read_spent(&mut connection, schedule.schedule_id)
        .await
        .unwrap();
    let accepted = stage.simulator.carrier().accepted() as u64;
    assert!(accepted > 5, "nothing was sent again");
    assert_eq!(
        (spent.parts, spent.micros, spent.unpriced_parts),
        (accepted, accepted * 20_000, 0)
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn what_the_carrier_refuses_for_now_costs_nothing(pool: MySqlPool) {
    let settings = Settings {
        seed: Some(3),
        busy_429: 0.5,
        ..Settings::default()
    };
    let stage = Stage::new(pool, settings).await;
    let schedule = five().insert(&stage.db).await;
    price(&stage, 20_000).await;
    dispatch(&stage, schedule).await;
    for _ in 0..20 {
        stage.db.clock.advance(std::time::Duration::from_secs(60));
        stage.dispatcher.sweep(|| true).await.unwrap();
        stage.work().await;
    }
    assert_eq!(
        fixture::status(&stage.db, schedule.schedule_id).await,
        "finished"
    );
    let mut connection = stage.db.acquire().await.unwrap();
    let spent = read_spent(&mut connection, schedule.schedule_id)
        .await
        .unwrap();
    assert_eq!(spent.micros, 5 * 20_000);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn without_prices_nothing_is_written(pool: MySqlPool) {
    let stage = Stage::new(pool, Settings::default()).await;
    let schedule = five().insert(&stage.db).await;
    dispatch(&stage, schedule).await;
    stage.play().await;
    for table in ["schedule_costs", "batch_costs", "spending"] {
        let rows: i64 = sqlx::query_scalar(&format!("SELECT COUNT(*) FROM {table}"))
            .fetch_one(&stage.db)
            .await
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

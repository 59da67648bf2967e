//! What it costs to know who calls and how often: the same list read through the guard, by a key and by a session, and without it, in
//! turns on one connection, as the function has one. And how many statements that is.
//!
//! `DATABASE_URL=… cargo bench --profile dev --bench gate`: of a server where a database may be made.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/handlers/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use axum::{Router, http::StatusCode, routing::get};
use common::Api;
use shared::platform::db::MIGRATOR;
use sqlx::{Connection, MySqlConnection, MySqlPool, mysql::MySqlConnectOptions};

const DATABASE: &str = "sms_bench_gate";
const ROUNDS: u32 = 40;
const CALLS: u32 = 25;

/// Statements of that kind that the API's one connection has made.
async fn made(api: &Api, kind: &str) -> i64 {
    let sql = format!("SHOW SESSION STATUS LIKE '{kind}'");
    let (_, count): (String, String) = sqlx::query_as(&sql).fetch_one(&api.db.pool).await.unwrap();
    count.parse().unwrap()
}

async fn time(api: &Api) -> Duration {
    let begun = Instant::now();
    for _ in 0..CALLS {
        assert_eq!(
            api.get("/v1/schedules?limit=1").await.status,
            StatusCode::OK
        );
    }
    begun.elapsed()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options: MySqlConnectOptions = std::env::var("DATABASE_URL").unwrap().parse().unwrap();
    let mut server = MySqlConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(&format!(
        "DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}"
    ))
    .execute(&mut server)
    .await
    .unwrap();
    let pool = MySqlPool::connect_with(options.database(DATABASE))
        .await
        .unwrap();
    MIGRATOR.run(&pool).await.unwrap();

    let by_key = Api::new(&pool).await;
    let by_session = by_key.admin().await;
    let mut open = by_key.clone();
    open.router = Router::new()
        .route("/v1/schedules", get(api::resources::schedules::list::list))
        .with_state(open.app.clone());
    let mut taken = [Duration::ZERO; 3];
    for _ in 0..ROUNDS {
        for (taken, api) in taken.iter_mut().zip([&open, &by_key, &by_session]) {
            *taken += time(api).await;
        }
    }
    let each = taken.map(|taken| taken.as_secs_f64() * 1e6 / f64::from(ROUNDS * CALLS));
    println!("a list without a guard  {:7.0} µs", each[0]);
    println!(
        "by a key                {:7.0} µs  {:.2} times",
        each[1],
        each[1] / each[0]
    );
    println!(
        "by a session            {:7.0} µs  {:.2} times",
        each[2],
        each[2] / each[0]
    );
    for (name, api) in [("by a key", &by_key), ("by a session", &by_session)] {
        let mut counts = Vec::new();
        for kind in ["Com_select", "Com_update", "Com_insert"] {
            let before = made(api, kind).await;
            time(api).await;
            counts.push(format!(
                "{kind} {:.2}",
                (made(api, kind).await - before) as f64 / f64::from(CALLS)
            ));
        }
        println!(
            "{name}: {} a call, the list's own included",
            counts.join(", ")
        );
    }
    pool.close().await;
    sqlx::raw_sql(&format!("DROP DATABASE {DATABASE}"))
        .execute(&mut server)
        .await
        .unwrap();
}

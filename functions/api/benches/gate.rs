//! Measures the cost of authentication and rate limiting: reads the same list with an API key, with
//! a session, and without the gate, in turns on one connection, as the function has one. Also
//! prints the number of statements per call.
//!
//! `DATABASE_URL=… cargo bench --profile dev --bench gate`: the server must allow the creation of a
//! database.
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

/// The same API with an API key, with a session, and without the gate.
struct Variants {
    key: Api,
    session: Api,
    open: Api,
}

impl Variants {
    async fn new(pool: &MySqlPool) -> Self {
        let key = Api::new(pool).await;
        let session = key.admin().await;
        let mut open = key.clone();
        open.router = Router::new()
            .route("/v1/schedules", get(api::resources::schedules::list::list))
            .with_state(open.app.clone());
        Self { key, session, open }
    }
}

/// Returns the number of statements of a kind that the connection of the API has executed.
async fn statements(api: &Api, kind: &str) -> i64 {
    let sql = format!("SHOW SESSION STATUS LIKE '{kind}'");
    let (_, count): (String, String) = sqlx::query_as(&sql).fetch_one(&api.db).await.unwrap();
    count.parse().unwrap()
}

/// Returns the duration of one round of calls.
async fn time_round(api: &Api) -> Duration {
    let start = Instant::now();
    for _ in 0..CALLS {
        assert_eq!(
            api.get("/v1/schedules?limit=1").await.status,
            StatusCode::OK
        );
    }
    start.elapsed()
}

/// Prints the mean duration of a call for each variant, and its ratio to a call without the gate.
async fn print_durations(variants: &Variants) {
    let mut totals = [Duration::ZERO; 3];
    for _ in 0..ROUNDS {
        let apis = [&variants.open, &variants.key, &variants.session];
        for (total, api) in totals.iter_mut().zip(apis) {
            *total += time_round(api).await;
        }
    }
    let [open, key, session] =
        totals.map(|total| total.as_secs_f64() * 1e6 / f64::from(ROUNDS * CALLS));
    println!("without the gate  {open:7.0} µs");
    println!("with a key        {key:7.0} µs  ratio {:.2}", key / open);
    println!(
        "with a session    {session:7.0} µs  ratio {:.2}",
        session / open
    );
}

/// Prints the statements per call, including those of the list itself.
async fn print_statements(name: &str, api: &Api) {
    let mut counts = Vec::new();
    for kind in ["Com_select", "Com_update", "Com_insert"] {
        let before = statements(api, kind).await;
        time_round(api).await;
        let executed = statements(api, kind).await - before;
        counts.push(format!("{kind} {:.2}", executed as f64 / f64::from(CALLS)));
    }
    println!("{name}: {} per call, including the list", counts.join(", "));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options: MySqlConnectOptions = std::env::var("DATABASE_URL").unwrap().parse().unwrap();
    let mut server = MySqlConnection::connect_with(&options).await.unwrap();
    let create = format!("DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}");
    sqlx::raw_sql(&create).execute(&mut server).await.unwrap();
    let pool = MySqlPool::connect_with(options.database(DATABASE))
        .await
        .unwrap();
    MIGRATOR.run(&pool).await.unwrap();

    let variants = Variants::new(&pool).await;
    print_durations(&variants).await;
    print_statements("with a key", &variants.key).await;
    print_statements("with a session", &variants.session).await;

    pool.close().await;
    let drop = format!("DROP DATABASE {DATABASE}");
    sqlx::raw_sql(&drop).execute(&mut server).await.unwrap();
}

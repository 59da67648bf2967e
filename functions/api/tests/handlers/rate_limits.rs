//! The rate of a caller's requests, and what counts towards it.

use std::time::Duration;

use crate::common::{Api, gate, insert_key, phones, request};
use api::{App, auth::limits::Rate, routes::router};
use axum::http::StatusCode;
use serde_json::json;
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_long_list_counts_like_many_requests(pool: MySqlPool) {
    let mut api = Api::new(&pool).await;
    // A request is admitted again every three seconds, and reading the lists may take longer.
    api.db.clock.stop();
    let app = App {
        gate: gate(Rate { per_minute: 20 }).await,
        ..api.app.clone()
    };
    api.router = router(app);
    let mut body = request();
    body["recipients"] = json!(phones(0..60_000));
    let answer = api
        .send(
            "/v1/schedules?dry_run=true",
            "application/json",
            body.to_string(),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    // One for the call, and three for its list; one for this call.
    let next = api.get("/v1/schedules").await;
    assert!(
        next.header("ratelimit").contains("r=15;"),
        "{:?}",
        next.headers
    );
    let id = api.schedule(&[]).await;
    let list = phones(0..300_000).join("\n");
    let refused = api.append(id, "", "text/csv", format!("{list}\nx\n")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let limited = api.get("/v1/schedules").await;
    assert_eq!(
        limited.problem(),
        "rate-limited",
        "a refused list counts too"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_callers_rate_limit_is_shared_by_all_processes(pool: MySqlPool) {
    let mut one = Api::new(&pool).await;
    let mut other = Api::new(&pool).await;
    // The machines of a deployment have about the same time; here exactly.
    let clock = one.db.clock.clone();
    clock.stop();
    for api in [&mut one, &mut other] {
        api.app.db.clock = clock.clone();
        let app = App {
            gate: gate(Rate { per_minute: 6 }).await,
            ..api.app.clone()
        };
        api.router = router(app);
    }
    other.token = one.token.clone();
    let calls = (0..20).map(|n| if n % 2 == 0 { &one } else { &other }.get("/v1/schedules"));
    let answers = futures_util::future::join_all(calls).await;
    let (good, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.status == StatusCode::OK);
    assert_eq!((good.len(), refused.len()), (6, 14));
    for answer in refused {
        assert_eq!(answer.problem(), "rate-limited");
        assert_eq!(answer.header("retry-after"), "10");
        assert_eq!(answer.header("ratelimit"), "\"requests\";r=0;t=10");
        assert_eq!(answer.header("ratelimit-policy"), "\"requests\";q=6;w=60");
    }
    let mut left: Vec<_> = good
        .iter()
        .map(|answer| answer.header("ratelimit").to_owned())
        .collect();
    left.sort();
    assert!(
        left[0].contains("r=0;") && left[5].contains("r=5;"),
        "{left:?}"
    );
    // One more call is admitted after ten seconds. Another caller was never limited.
    clock.advance(Duration::from_secs(10));
    assert_eq!(one.get("/v1/schedules").await.status, StatusCode::OK);
    assert_eq!(
        one.get("/v1/schedules").await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    let another = one.with(&insert_key(&pool, &[Permission::SchedulesRead], None).await);
    assert_eq!(another.get("/v1/schedules").await.status, StatusCode::OK);
}

//! Batches of a schedule: listed with their state, and retried if they are parked.

use std::sync::atomic::Ordering;

use crate::common::{
    Api,
    rows::{self, batches_in_each_state},
    walk,
};
use axum::http::StatusCode;
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

#[sqlx::test(migrator = "MIGRATOR")]
async fn batches_are_listed_with_their_state(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = batches_in_each_state(&api, &pool).await;
    let path = format!("/v1/schedules/{id}/batches");
    let states = [
        "missed", "missed", "parked", "claimed", "to-send", "to-send", "to-check", "to-send",
        "done", "claimed", "done",
    ];
    for limit in [1, 3, 11, 200] {
        assert_eq!(
            walk(&api, &format!("{path}?limit={limit}"), "batches", "state").await,
            states,
            "{limit}"
        );
    }
    for (state, numbers) in [
        ("missed", vec![1, 2]),
        ("to-send", vec![5, 6, 8]),
        ("parked", vec![3]),
        ("done", vec![9, 11]),
    ] {
        assert_eq!(
            walk(
                &api,
                &format!("{path}?limit=1&state={state}"),
                "batches",
                "batch_no"
            )
            .await,
            numbers,
            "{state}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn batches_show_their_counts_and_no_claim_token(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = batches_in_each_state(&api, &pool).await;
    let path = format!("/v1/schedules/{id}/batches");
    let batches = api.get(&path).await.body["batches"].clone();
    // The counters of a claimed batch are outdated, so its rows are counted.
    assert_eq!(
        (
            &batches[9]["claimed"],
            &batches[9]["counts"]["PENDING"],
            &batches[9]["counts"]["UNCERTAIN"]
        ),
        (&json!(true), &json!(3), &json!(2))
    );
    assert_eq!(
        (
            &batches[1]["claimed"],
            &batches[1]["counts"]["ACCEPTD"],
            &batches[1]["crashes"]
        ),
        (&json!(false), &json!(3), &json!(0))
    );
    assert!(
        !batches.to_string().to_lowercase().contains("0f0f0f"),
        "the response contains a claim token"
    );
    assert_eq!(
        api.get(&format!("{path}?state=lost")).await.problem(),
        "invalid-request"
    );
    assert_eq!(
        api.get(&format!("/v1/schedules/{}/batches", Uuid::nil()))
            .await
            .problem(),
        "not-found"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_parked_batches_are_retried(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = batches_in_each_state(&api, &pool).await;
    rows::batch(&pool, id, 8, "crashes = 3, requeues = 4, tries = 2").await;
    let path = format!("/v1/schedules/{id}");
    let retry = async |path: String| {
        let answer = api.post_json(&path, &json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let left = &answer.body["left"];
        [&answer.body["changed"], &left["busy"], &left["not_parked"]]
            .map(|count| count.as_u64().unwrap())
    };
    assert_eq!(retry(format!("{path}/batches/8/retry")).await, [1, 0, 0]);
    assert_eq!(
        rows::batch_line(&pool, id, 8).await,
        "free unowned later - now past 0 0 2"
    );
    assert_eq!(retry(format!("{path}/batches/8/retry")).await, [0, 0, 1]);
    assert_eq!(retry(format!("{path}/batches/4/retry")).await, [0, 1, 0]);
    assert_eq!(retry(format!("{path}/retry")).await, [1, 1, 9]);
    assert_eq!(
        rows::batch_line(&pool, id, 3).await,
        "free owned past - now past 0 0 0"
    );
    assert_eq!(
        rows::batch_line(&pool, id, 4).await,
        "free owned past - later past 3 0 0"
    );
    assert_eq!(retry(format!("{path}/retry")).await, [0, 1, 10]);
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 5);
    for path in [
        format!("{path}/batches/12/retry"),
        format!("{path}/batches/x/retry"),
        format!("/v1/schedules/{}/retry", Uuid::nil()),
    ] {
        assert_eq!(
            api.post_json(&path, &json!({})).await.problem(),
            "not-found",
            "{path}"
        );
    }
}

//! Entries that need the attention of an operator: each kind is listed page by page, with the calls that
//! resolve it.

use std::sync::atomic::Ordering;

use crate::common::{Api, phones, rows, walk};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

const KINDS: [&str; 7] = [
    "missed-batches",
    "missed-schedules",
    "overdue",
    "overdue-schedules",
    "parked-batches",
    "paused",
    "uncertain",
];

/// Creates a running schedule whose eleven batches are each in a different state.
async fn batches_in_each_state(api: &Api, pool: &MySqlPool) -> Uuid {
    let id = rows::cut(api, pool, 11).await;
    let table = [
        (1, "missed_at = now(-300)"),
        // Held, and still due for rechecks.
        (
            2,
            "missed_at = now(-600), check_at = now(60), sweep_at = now(60), pending = 2, acceptd = 3",
        ),
        (
            3,
            "crashes = 3, send_at = now(-900), sweep_at = now(900), claim(-500)",
        ),
        // Under its third claim, so not parked yet.
        (
            4,
            "crashes = 3, send_at = now(-900), sweep_at = now(30), claim(25)",
        ),
        (5, "send_at = now(-900), sweep_at = now(-700)"),
        // Its owner crashed long ago, and no other took over.
        (
            6,
            "crashes = 1, send_at = now(-900), sweep_at = now(300), claim(-700)",
        ),
        (
            7,
            "crashes = 1, check_at = now(-900), sweep_at = now(-500), claim(-500)",
        ),
        (8, "send_at = now(900), sweep_at = now(800)"),
        (9, "pending = 5"),
        (
            10,
            "pending = 5, check_at = now(60), sweep_at = now(60), claim(30)",
        ),
        (11, "pending = 0, delivrd = 5"),
    ];
    for (no, assignments) in table {
        rows::batch(pool, id, no, assignments).await;
    }
    // Batch 9 has three uncertain messages; batch 10 has two, but is claimed.
    rows::uncertain(pool, id, 43..=45, 900).await;
    rows::uncertain(pool, id, 46..=47, 900).await;
    rows::batch(pool, id, 2, "pending = 2").await;
    id
}

/// Schedule, batch number (0 without a batch), number of recipients.
type Facts = (Uuid, u64, u64);

/// Reads an entry, which must have a time.
fn facts(entry: &Value) -> Facts {
    let id = entry["schedule_id"].as_str().unwrap().parse().unwrap();
    assert!(entry["since"].is_string(), "{entry}");
    (
        id,
        entry["batch_no"].as_u64().unwrap_or_default(),
        entry["recipients"].as_u64().unwrap(),
    )
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn everything_that_needs_attention_is_listed_and_nothing_else(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let nothing = api.get("/v1/attention").await.body;
    assert_eq!(nothing["total"], 0, "{nothing}");
    let id = batches_in_each_state(&api, &pool).await;
    let missed = api.schedule(&phones(0..4)).await;
    rows::schedule(
        &pool,
        missed,
        "status = 'missed', run_at = UTC_TIMESTAMP(3) - INTERVAL 2 HOUR",
    )
    .await;
    let overdue = api.schedule(&phones(0..2)).await;
    rows::schedule(
        &pool,
        overdue,
        "run_at = UTC_TIMESTAMP(3) - INTERVAL 11 MINUTE",
    )
    .await;
    let late = api.schedule(&phones(0..2)).await;
    rows::schedule(&pool, late, "run_at = UTC_TIMESTAMP(3) - INTERVAL 9 MINUTE").await;
    let paused = api.schedule(&phones(0..7)).await;
    rows::schedule(
        &pool,
        paused,
        "status = 'paused', paused_at = UTC_TIMESTAMP(3), pause_reason = 'HTTP 401'",
    )
    .await;
    let by_hand = api.schedule(&phones(0..7)).await;
    api.post_step(by_hand, "pause").await;
    // The owner of a batch crashed, and then its schedule was paused: not overdue.
    let held_back = rows::cut(&api, &pool, 1).await;
    rows::batch(
        &pool,
        held_back,
        1,
        "crashes = 1, send_at = now(-900), sweep_at = now(900), claim(-700)",
    )
    .await;
    rows::schedule(
        &pool,
        held_back,
        "status = 'paused', paused_at = UTC_TIMESTAMP(3)",
    )
    .await;

    let expected: [(&str, Vec<Facts>); 7] = [
        ("missed-batches", vec![(id, 2, 2), (id, 1, 5)]),
        ("missed-schedules", vec![(missed, 0, 4)]),
        ("overdue", vec![(id, 5, 5), (id, 6, 5)]),
        ("overdue-schedules", vec![(overdue, 0, 2)]),
        ("parked-batches", vec![(id, 3, 5)]),
        ("paused", vec![(paused, 0, 7)]),
        ("uncertain", vec![(id, 9, 3)]),
    ];
    let overview = api.get("/v1/attention").await.body;
    for (kind, expected) in &expected {
        let list = api.get(&format!("/v1/attention/{kind}")).await.body;
        let entries: Vec<_> = list["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(facts)
            .collect();
        assert_eq!(
            (&entries, &list["kind"], &list["next_cursor"]),
            (expected, &json!(kind), &Value::Null)
        );
        let summary = &overview["kinds"][kind];
        assert_eq!(
            (&summary["count"], &summary["entries"]),
            (&json!(expected.len()), &list["entries"]),
            "{kind}"
        );
    }
    assert_eq!(overview["total"], 9);
    let attention = &api.get(&format!("/v1/schedules/{id}")).await.body["attention"];
    assert_eq!(
        *attention,
        json!({"missed_batches": 2, "parked_batches": 1, "uncertain": 5})
    );
    let listed = api.get("/v1/schedules").await.body;
    assert!(listed["schedules"][0].get("attention").is_none());
}

/// Each action that an entry offers exists, and resolves the entry.
#[sqlx::test(migrator = "MIGRATOR")]
async fn each_listed_action_can_be_called(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for kind in KINDS {
        let id = match kind {
            "overdue-schedules" | "paused" | "missed-schedules" => {
                api.schedule(&phones(0..4)).await
            }
            _ => batches_in_each_state(&api, &pool).await,
        };
        match kind {
            "overdue-schedules" => rows::schedule(&pool, id, "run_at = '2020-01-01'").await,
            "paused" => {
                rows::schedule(
                    &pool,
                    id,
                    "status = 'paused', paused_at = '2020-01-01', pause_reason = 'x'",
                )
                .await
            }
            "missed-schedules" => rows::schedule(&pool, id, "status = 'missed'").await,
            _ => {}
        }
        let list = api.get(&format!("/v1/attention/{kind}")).await.body;
        let entry = list["entries"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["schedule_id"] == json!(id))
            .unwrap();
        for action in entry["actions"].as_array().unwrap() {
            let request = Request::builder()
                .method(action["method"].as_str().unwrap())
                .uri(action["href"].as_str().unwrap());
            let request = request.header("content-type", "application/json");
            let answer = api
                .call(
                    request
                        .body(Body::from(action["body"].to_string()))
                        .unwrap(),
                )
                .await;
            assert_eq!(answer.status, StatusCode::OK, "{action}: {}", answer.body);
        }
        let left = walk(
            &api,
            &format!("/v1/attention/{kind}?limit=100"),
            "entries",
            "schedule_id",
        )
        .await;
        // The retry of an overdue batch only enqueues a sweep.
        assert_eq!(left.contains(&json!(id)), kind == "overdue", "{kind}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_attention_list_is_paged_completely(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for _ in 0..3 {
        let id = rows::cut(&api, &pool, 4).await;
        for no in 1..=4 {
            rows::uncertain(&pool, id, no * 5 - 4..=no * 6 - 5, 900).await;
            // Some have the same time, and are ordered by id.
            let at = |second| format!("'2026-01-01 00:00:0{second}'");
            let row = format!(
                "missed_at = {}, sweep_at = {}, crashes = IF({no} = 1, 3, 0)",
                at(no / 2),
                at(no % 3)
            );
            rows::batch(&pool, id, no, &row).await;
        }
    }
    for n in 0..5 {
        let [missed, overdue, paused] = [
            api.schedule(&phones(0..1)).await,
            api.schedule(&phones(0..1)).await,
            api.schedule(&phones(0..1)).await,
        ];
        rows::schedule(&pool, missed, "status = 'missed'").await;
        rows::schedule(
            &pool,
            overdue,
            &format!("run_at = '2026-01-0{}'", 1 + n / 2),
        )
        .await;
        rows::schedule(
            &pool,
            paused,
            "status = 'paused', paused_at = '2020-01-01', pause_reason = 'x'",
        )
        .await;
    }
    for (kind, count) in KINDS.iter().zip([12, 5, 9, 5, 3, 5, 12]) {
        let all = api
            .get(&format!("/v1/attention/{kind}?limit=200"))
            .await
            .body["entries"]
            .clone();
        let all: Vec<_> = all.as_array().unwrap().iter().map(facts).collect();
        assert_eq!(all.len(), count, "{kind}");
        for limit in [1, 2, 5, 12] {
            let path = format!("/v1/attention/{kind}?limit={limit}");
            let ids = walk(&api, &path, "entries", "schedule_id").await;
            let numbers = walk(&api, &path, "entries", "batch_no").await;
            let walked: Vec<_> = ids
                .iter()
                .zip(&numbers)
                .map(|(id, no)| {
                    (
                        id.as_str().unwrap().parse().unwrap(),
                        no.as_u64().unwrap_or_default(),
                    )
                })
                .collect();
            assert_eq!(
                walked,
                all.iter().map(|(id, no, _)| (*id, *no)).collect::<Vec<_>>(),
                "{kind} {limit}"
            );
        }
    }
    let wrong = api
        .get("/v1/attention/missed-batches?limit=0&cursor=s1&page=2")
        .await;
    let fields: Vec<_> = wrong.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["field"])
        .collect();
    assert_eq!(fields, ["limit", "cursor", "page"]);
    assert_eq!(
        api.get("/v1/attention/everything").await.problem(),
        "not-found"
    );
    assert_eq!(
        api.get("/v1/attention?kind=x").await.problem(),
        "invalid-request"
    );
}

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

//! Entries that need the attention of an operator: each kind is listed page by page, with the calls
//! that resolve it.

use crate::common::{
    Answer, Api, phones,
    rows::{self, batches_in_each_state},
    walk,
};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

const KINDS: [&str; 7] = [
    "missed",
    "parked",
    "uncertain",
    "overdue",
    "not-begun",
    "paused",
    "drafts",
];

/// Schedule, number of people, number of batches.
type Facts = (Uuid, u64, u64);

/// Reads an entry, which must have a time.
fn facts(entry: &Value) -> Facts {
    let id = entry["schedule_id"].as_str().unwrap().parse().unwrap();
    assert!(entry["since"].is_string(), "{entry}");
    let number = |name: &str| entry[name].as_u64().unwrap();
    (id, number("people"), number("batches"))
}

/// Schedules that need attention, and the entries that each kind must list.
struct Entries {
    /// A schedule with batches in each state.
    running: Uuid,
    expected: [(&'static str, Vec<Facts>); 7],
}

/// Creates entries of each kind, and schedules that are in similar states and need no attention.
async fn entries_of_each_kind(api: &Api, pool: &MySqlPool) -> Entries {
    let running = batches_in_each_state(api, pool).await;
    let schedule = async |recipients: u32, assignments: &str| {
        let id = api.schedule(&phones(0..recipients)).await;
        rows::schedule(pool, id, assignments).await;
        id
    };
    let now = "UTC_TIMESTAMP(3)";
    let missed = format!("status = 'missed', run_at = {now} - INTERVAL 2 HOUR");
    let missed = schedule(4, &missed).await;
    let opened = format!("run_at = {now} - INTERVAL 2 HOUR, opens_at = {now} - INTERVAL 11 MINUTE");
    let not_begun = schedule(2, &opened).await;
    schedule(2, &format!("run_at = {now} - INTERVAL 9 MINUTE")).await;
    let waits = format!("run_at = {now} - INTERVAL 2 HOUR, opens_at = {now} + INTERVAL 1 HOUR");
    schedule(2, &waits).await;
    let paused = format!("status = 'paused', paused_at = {now}, pause_reason = 'HTTP 401'");
    let paused = schedule(7, &paused).await;
    let by_person = format!("status = 'paused', paused_at = {now} - INTERVAL 1 HOUR");
    let in_time = format!("{by_person}, run_at = {now} + INTERVAL 1 HOUR");
    schedule(6, &in_time).await;
    schedule(6, &format!("{by_person}, {waits}")).await;
    let too_long = format!("{by_person}, run_at = {now} - INTERVAL 1 MINUTE");
    let paused_too_long = schedule(6, &too_long).await;
    schedule(5, "status = 'draft'").await;
    let forgotten = format!("status = 'draft', run_at = {now} - INTERVAL 1 MINUTE");
    let forgotten = schedule(5, &forgotten).await;
    // The owner of a batch crashed, and then its schedule was paused: not overdue.
    let crashed = rows::cut(api, pool, 1).await;
    let claim = "crashes = 1, send_at = now(-900), sweep_at = now(900), claim(-700)";
    rows::batch(pool, crashed, 1, claim).await;
    let pause = format!("status = 'paused', paused_at = {now}");
    let pause = format!("{pause}, run_at = {now} + INTERVAL 1 MINUTE");
    rows::schedule(pool, crashed, &pause).await;
    Entries {
        running,
        expected: [
            ("missed", vec![(running, 7, 2), (missed, 4, 0)]),
            ("parked", vec![(running, 5, 1)]),
            ("uncertain", vec![(running, 3, 1)]),
            ("overdue", vec![(running, 10, 2)]),
            ("not-begun", vec![(not_begun, 2, 0)]),
            ("paused", vec![(paused, 7, 0), (paused_too_long, 6, 0)]),
            ("drafts", vec![(forgotten, 5, 0)]),
        ],
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn everything_that_needs_attention_is_listed_and_nothing_else(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let nothing = api.get("/v1/attention").await.body;
    assert_eq!(nothing["total"], 0, "{nothing}");
    let Entries { running, expected } = entries_of_each_kind(&api, &pool).await;
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
        let people: u64 = expected.iter().map(|(_, people, _)| people).sum();
        for summary in [&overview["kinds"][kind], &list] {
            assert_eq!(
                (&summary["count"], &summary["people"], &summary["entries"]),
                (&json!(expected.len()), &json!(people), &list["entries"]),
                "{kind}"
            );
        }
    }
    assert_eq!(overview["total"], 9);
    let attention = &api.get(&format!("/v1/schedules/{running}")).await.body["attention"];
    assert_eq!(
        *attention,
        json!({"kinds": ["missed", "parked", "uncertain", "overdue"],
            "missed_batches": 2, "parked_batches": 1, "uncertain": 5})
    );
    each_schedule_names_the_kinds_that_list_it(&api, &expected).await;
}

/// Compares the kinds of each schedule, in the list and alone, with those that list it.
async fn each_schedule_names_the_kinds_that_list_it(api: &Api, expected: &[(&str, Vec<Facts>)]) {
    let listed = api.get("/v1/schedules").await.body;
    let schedules = listed["schedules"].as_array().unwrap();
    assert!(schedules.len() > 9, "some need no attention");
    for schedule in schedules {
        let id: Uuid = schedule["id"].as_str().unwrap().parse().unwrap();
        let lists = |(_, facts): &&(&str, Vec<Facts>)| facts.iter().any(|fact| fact.0 == id);
        let kinds: Vec<_> = expected
            .iter()
            .filter(lists)
            .map(|(kind, _)| *kind)
            .collect();
        let alone = api.get(&format!("/v1/schedules/{id}")).await.body;
        for shown in [schedule, &alone] {
            assert_eq!(shown["attention"]["kinds"], json!(kinds), "{shown}");
        }
    }
}

/// Creates an entry of a kind and returns its schedule.
async fn entry_of_kind(api: &Api, pool: &MySqlPool, kind: &str) -> Uuid {
    let assignments = match kind {
        "not-begun" => "run_at = '2020-01-01'",
        "paused" => "status = 'paused', paused_at = '2020-01-01', run_at = '2020-01-01'",
        "missed" => "status = 'missed'",
        "drafts" => "status = 'draft', run_at = '2020-01-01'",
        _ => return batches_in_each_state(api, pool).await,
    };
    let id = api.schedule(&phones(0..4)).await;
    rows::schedule(pool, id, assignments).await;
    id
}

/// Makes the call that an action describes.
async fn call_action(api: &Api, action: &Value) -> Answer {
    let request = Request::builder()
        .method(action["method"].as_str().unwrap())
        .uri(action["href"].as_str().unwrap())
        .header("content-type", "application/json");
    let body = Body::from(action["body"].to_string());
    api.call(request.body(body).unwrap()).await
}

/// Each action that an entry offers exists, and resolves the entry.
#[sqlx::test(migrator = "MIGRATOR")]
async fn each_listed_action_can_be_called(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for kind in KINDS {
        let id = entry_of_kind(&api, &pool, kind).await;
        let list = api.get(&format!("/v1/attention/{kind}")).await.body;
        let entry = list["entries"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["schedule_id"] == json!(id))
            .unwrap();
        for action in entry["actions"].as_array().unwrap() {
            let answer = call_action(&api, action).await;
            assert_eq!(answer.status, StatusCode::OK, "{action}: {}", answer.body);
        }
        let path = format!("/v1/attention/{kind}?limit=100");
        let left = walk(&api, &path, "entries", "schedule_id").await;
        // The retry of an overdue batch only enqueues a sweep.
        assert_eq!(left.contains(&json!(id)), kind == "overdue", "{kind}");
    }
}

/// Creates several entries of each kind. Some affect as many people, and are ordered by id.
async fn many_entries_of_each_kind(api: &Api, pool: &MySqlPool) {
    for _ in 0..3 {
        let id = rows::cut(api, pool, 4).await;
        for no in 1..=4 {
            rows::uncertain(pool, id, no * 5 - 4..=no * 6 - 5, 900).await;
            let at = |second| format!("'2026-01-01 00:00:0{second}'");
            let row = format!(
                "missed_at = {}, sweep_at = {}, crashes = IF({no} = 1, 3, 0)",
                at(no / 2),
                at(no % 3)
            );
            rows::batch(pool, id, no, &row).await;
        }
    }
    for n in 0..5 {
        for assignments in [
            "status = 'missed'".to_owned(),
            format!("run_at = '2026-01-0{}'", 1 + n / 2),
            "status = 'paused', paused_at = '2020-01-01', pause_reason = 'x'".to_owned(),
            "status = 'draft', run_at = '2020-01-01'".to_owned(),
        ] {
            let id = api.schedule(&phones(0..1)).await;
            rows::schedule(pool, id, &assignments).await;
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_attention_list_is_paged_completely(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    many_entries_of_each_kind(&api, &pool).await;
    for (kind, count) in KINDS.iter().zip([8, 3, 3, 3, 5, 5, 5]) {
        for sort in ["-people", "-created_at"] {
            let path = format!("/v1/attention/{kind}?sort={sort}");
            let all = walk(&api, &format!("{path}&limit=200"), "entries", "schedule_id").await;
            assert_eq!(all.len(), count, "{kind}");
            for limit in [1, 2, 5, 8] {
                let path = format!("{path}&limit={limit}");
                let walked = walk(&api, &path, "entries", "schedule_id").await;
                assert_eq!(walked, all, "{path}");
            }
        }
    }
    let newest = api.get("/v1/attention/missed?sort=-created_at").await.body;
    let ids: Vec<Uuid> = newest["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| facts(entry).0)
        .collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_invalid_attention_query_is_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let wrong = api
        .get("/v1/attention/missed?sort=people&limit=0&cursor=s1&page=2")
        .await;
    let fields: Vec<_> = wrong.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["field"])
        .collect();
    assert_eq!(fields, ["sort", "limit", "cursor", "page"]);
    assert_eq!(
        api.get("/v1/attention/everything").await.problem(),
        "not-found"
    );
    assert_eq!(
        api.get("/v1/attention?kind=x").await.problem(),
        "invalid-request"
    );
}

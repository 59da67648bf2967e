//! An operator resolves messages whose answer was lost.

use std::sync::atomic::Ordering;

use crate::common::{
    Api, phones, rows,
    uncertain::{attempts, resolve, tally},
};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

/// Field, position, code.
type FieldErrors<'a> = Vec<(&'a str, Option<u64>, &'a str)>;

#[sqlx::test(migrator = "MIGRATOR")]
async fn messages_resolved_as_sent_are_closed_as_unknown(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 3).await;
    rows::schedule(
        &pool,
        id,
        "status = 'finished', finished_at = UTC_TIMESTAMP(3)",
    )
    .await;
    rows::uncertain(&pool, id, 4..=7, 1).await;
    let answer = resolve(&api, id, &json!({"outcome": "sent"})).await;
    assert_eq!(tally(&answer), [4, 0, 0, 0, 0]);
    let lines = rows::recipients(&pool, id).await;
    assert_eq!(
        lines[2..5],
        [
            "3 PENDING 0 0",
            "4 UNKNOWN 1 0 resolved as sent",
            "5 UNKNOWN 1 0 resolved as sent"
        ]
    );
    assert!(attempts(&pool, id).await.is_empty());
    // Both batches are due for a count, the third is unchanged.
    for (no, line) in [
        (1, "free unowned - now now past 0 0 0"),
        (2, "free unowned - now now past 0 0 0"),
        (3, "free unowned - - - past 0 0 0"),
    ] {
        assert_eq!(rows::batch_line(&pool, id, no).await, line, "{no}");
    }
    let shown = api.get(&format!("/v1/schedules/{id}")).await.body;
    assert_eq!(
        (&shown["status"], &shown["finished_at"]),
        (&json!("running"), &Value::Null)
    );
    assert_eq!(
        (
            &shown["counts"]["UNKNOWN"],
            &shown["counts"]["UNCERTAIN"],
            &shown["attention"]["uncertain"]
        ),
        (&json!(4), &json!(0), &json!(0))
    );
    assert_eq!(
        tally(&resolve(&api, id, &json!({"outcome": "sent"})).await),
        [0; 5]
    );
    assert_eq!(api.fakes.sweeps.load(Ordering::Relaxed), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_resend_keeps_the_earlier_attempt_and_respects_the_quiet_time(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 2).await;
    let assignments = "tries = 3, requeues = 2, check_at = now(600), sweep_at = now(600)";
    rows::batch(&pool, id, 1, assignments).await;
    rows::uncertain(&pool, id, 1..=3, 301).await;
    rows::uncertain(&pool, id, 4..=4, 290).await;
    let answer = resolve(&api, id, &json!({"outcome": "resend"})).await;
    assert_eq!(
        (tally(&answer), &answer.body["outcome"]),
        ([3, 0, 1, 0, 0], &json!("resend"))
    );
    let lines = rows::recipients(&pool, id).await;
    assert_eq!(
        lines[..5],
        [
            "1 PENDING 1 1",
            "2 PENDING 1 1",
            "3 PENDING 1 1",
            "4 UNCERTAIN 1 0 timed out",
            "5 PENDING 0 0"
        ]
    );
    assert_eq!(
        attempts(&pool, id).await,
        [
            "1 1 UNCERTAIN timed out",
            "2 1 UNCERTAIN timed out",
            "3 1 UNCERTAIN timed out"
        ]
    );
    assert_eq!(
        rows::batch_line(&pool, id, 1).await,
        "free unowned now now now now 0 0 0"
    );
    assert_eq!(
        rows::batch_line(&pool, id, 2).await,
        "free unowned - - - past 0 0 0"
    );
    let counts = &api.get(&format!("/v1/schedules/{id}")).await.body["counts"];
    assert_eq!(
        (&counts["PENDING"], &counts["UNCERTAIN"]),
        (&json!(9), &json!(1))
    );
    assert_eq!(
        tally(&resolve(&api, id, &json!({"outcome": "resend"})).await),
        [0, 0, 1, 0, 0]
    );
}

/// Creates a schedule of four batches with twelve uncertain messages. The second batch is claimed.
async fn twelve_uncertain(api: &Api, pool: &MySqlPool) -> Uuid {
    let id = rows::cut(api, pool, 4).await;
    rows::uncertain(pool, id, 1..=12, 400).await;
    rows::batch(pool, id, 2, "claim(60), sweep_at = now(65)").await;
    id
}

/// Names recipient 1 twice, 6 and 7 in a claimed batch, 13, which is not uncertain, and two numbers
/// that are not in the schedule.
fn names(second: &str) -> Value {
    let phone = |at: u32| phones(at..at + 1).remove(0);
    json!([1, phone(0), second, 6, phone(6), 11, 13, 99, phone(500)])
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_the_named_recipients_are_resolved(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = twelve_uncertain(&api, &pool).await;
    let second = &phones(1..2)[0];
    let body = json!({"outcome": "sent", "recipients": names(&second.replace('+', "00"))});
    assert_eq!(
        resolve(&api, id, &body).await.problem(),
        "invalid-request",
        "00 is not an international prefix here"
    );
    let body =
        json!({"outcome": "sent", "recipients": names(&second.replace("+1201", "+1 (201) "))});
    assert_eq!(tally(&resolve(&api, id, &body).await), [3, 2, 0, 1, 2]);
    let lines = rows::recipients(&pool, id).await;
    let unknown: Vec<_> = (1_usize..)
        .zip(&lines)
        .filter(|(_, line)| line.contains("UNKNOWN"))
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(unknown, [1, 2, 11]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn one_recipient_is_resolved_by_its_sequence_number(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = twelve_uncertain(&api, &pool).await;
    let invalid = api.schedule(&[]).await;
    api.append(invalid, "?on_invalid=skip", "text/csv", "x")
        .await;
    let one = async |id: Uuid, seq: &str| {
        api.post_json(
            &format!("/v1/schedules/{id}/recipients/{seq}/resolve"),
            &json!({"outcome": "resend"}),
        )
        .await
    };
    assert_eq!(tally(&one(id, "3").await), [1, 0, 0, 0, 0]);
    assert_eq!(tally(&one(id, "3").await), [0, 0, 0, 1, 0]);
    assert_eq!(tally(&one(id, "6").await), [0, 1, 0, 0, 0]);
    assert_eq!(
        tally(&one(invalid, "1").await),
        [0, 0, 0, 1, 0],
        "a recipient without a batch"
    );
    for seq in ["99", "0", "x", "-1"] {
        assert_eq!(one(id, seq).await.problem(), "not-found", "{seq}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_schedule_state_allows_its_outcomes(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let now = "UTC_TIMESTAMP(3)";
    let table = [
        ("running", String::new(), "running"),
        ("finished", format!(", finished_at = {now}"), "running"),
        ("missed", String::new(), "running"),
        (
            "paused",
            format!(", paused_at = {now} - INTERVAL 60 SECOND"),
            "paused",
        ),
        ("cancelled", String::new(), "cancelled"),
    ];
    for outcome in ["sent", "resend"] {
        for (status, also, after) in &table {
            let id = rows::cut(&api, &pool, 1).await;
            rows::schedule(&pool, id, &format!("status = '{status}'{also}")).await;
            rows::uncertain(&pool, id, 1..=5, 400).await;
            let answer = resolve(&api, id, &json!({"outcome": outcome})).await;
            if (outcome, *status) == ("resend", "cancelled") {
                assert_eq!(
                    (answer.status, answer.problem()),
                    (StatusCode::CONFLICT, "wrong-state")
                );
                assert!(rows::recipients(&pool, id).await[0].contains("UNCERTAIN"));
                continue;
            }
            assert_eq!(tally(&answer), [5, 0, 0, 0, 0], "{outcome} {status}");
            assert_eq!(
                api.get(&format!("/v1/schedules/{id}")).await.body["status"],
                *after,
                "{outcome} {status}"
            );
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_schedule_before_its_cut_has_nothing_to_resolve(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for uncut in [api.schedule(&[]).await, api.schedule(&phones(0..3)).await] {
        assert_eq!(
            tally(&resolve(&api, uncut, &json!({"outcome": "resend"})).await),
            [0; 5]
        );
        assert_eq!(
            tally(&resolve(&api, uncut, &json!({"outcome": "sent", "recipients": [1]})).await)[0],
            0
        );
    }
    assert_eq!(
        resolve(&api, Uuid::nil(), &json!({"outcome": "sent"}))
            .await
            .problem(),
        "not-found"
    );
}

/// The response reports recipients in held and parked batches. A resend that is requested during a
/// pause is due when the pause ends.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_resend_waits_with_its_held_or_parked_batch(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 3).await;
    rows::uncertain(&pool, id, 1..=2, 400).await;
    rows::uncertain(&pool, id, 6..=8, 400).await;
    rows::batch(&pool, id, 1, "missed_at = now(-60)").await;
    rows::batch(
        &pool,
        id,
        2,
        "crashes = 3, claim(-100), send_at = now(-100), sweep_at = now(100)",
    )
    .await;
    let answer = resolve(&api, id, &json!({"outcome": "resend"})).await;
    assert_eq!(
        (tally(&answer), &answer.body["held"], &answer.body["parked"]),
        ([5, 0, 0, 0, 0], &json!(2), &json!(3))
    );
    assert_eq!(
        rows::batch_line(&pool, id, 1).await,
        "held unowned - now now past 0 0 0"
    );
    assert_eq!(
        rows::batch_line(&pool, id, 2).await,
        "free unowned now now now now 3 0 0"
    );

    let id = rows::cut(&api, &pool, 1).await;
    rows::schedule(
        &pool,
        id,
        "status = 'paused', paused_at = UTC_TIMESTAMP(3) - INTERVAL 30 MINUTE",
    )
    .await;
    rows::uncertain(&pool, id, 1..=5, 3_000).await;
    assert_eq!(
        tally(&resolve(&api, id, &json!({"outcome": "resend"})).await),
        [5, 0, 0, 0, 0]
    );
    api.post_step(id, "resume").await;
    assert_eq!(
        rows::batch_line(&pool, id, 1).await,
        "free unowned now now past now 0 0 0",
        "due at once, without the length of the pause added"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_resolution_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 1).await;
    let many: Vec<_> = (1..=10_001).collect();
    #[rustfmt::skip]
    let table: Vec<(Value, FieldErrors)> = vec![
        (json!({}), vec![("outcome", None, "missing")]),
        (json!({"outcome": "lost"}), vec![("outcome", None, "not-a-choice")]),
        (json!({"outcome": 1, "all": true}), vec![("outcome", None, "not-a-choice"), ("all", None, "unknown-field")]),
        (json!({"outcome": "sent", "recipients": []}), vec![("recipients", None, "empty")]),
        (json!({"outcome": "sent", "recipients": "+60123456789"}), vec![("recipients", None, "wrong-type")]),
        (json!({"outcome": "sent", "recipients": many}), vec![("recipients", None, "too-many")]),
        (json!({"outcome": "sent", "recipients": "x".repeat(700_000)}), vec![("recipients", None, "too-many")]),
        (json!({"outcome": "sent", "recipients": [1, 0, -1, 1.5, null, {}, "0123", "+1", true]}), vec![
            ("recipients", Some(1), "wrong-type"), ("recipients", Some(2), "wrong-type"), ("recipients", Some(3), "wrong-type"),
            ("recipients", Some(4), "wrong-type"), ("recipients", Some(5), "wrong-type"), ("recipients", Some(6), "no-country-code"),
            ("recipients", Some(7), "too-short"), ("recipients", Some(8), "wrong-type")]),
    ];
    for (body, expected) in table {
        let answer = resolve(&api, id, &body).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request")
        );
        let errors = answer.body["errors"].as_array().unwrap();
        let reported: FieldErrors = errors
            .iter()
            .map(|e| {
                (
                    e["field"].as_str().unwrap(),
                    e["position"].as_u64(),
                    e["code"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(reported, expected);
    }
    let one = format!("/v1/schedules/{id}/recipients/1/resolve");
    assert_eq!(
        api.post_json(&one, &json!({"outcome": "sent", "recipients": [1]}))
            .await
            .body["errors"][0]["field"],
        "recipients"
    );
    assert_eq!(
        api.send(&one, "text/csv", "sent").await.problem(),
        "unsupported-content-type"
    );
}

//! An operator resolves messages whose answer was lost.

use std::{sync::atomic::Ordering, time::Duration};

use crate::common::{Answer, Api, phones, rows};
use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use shared::{
    batch::{
        claim::{Claim, claim_to_check},
        rows::{FlushRow, Step, make_due_if_lease_lost, record_late_answers},
    },
    message::status::Status,
    platform::{
        db::{Db, MIGRATOR, retry_lock_conflicts},
        queue::BatchMessage,
    },
};
use sqlx::MySqlPool;
use uuid::Uuid;

/// Field, position, code.
type FieldErrors<'a> = Vec<(&'a str, Option<u64>, &'a str)>;

/// Resolves uncertain messages of a schedule.
async fn resolve(api: &Api, id: Uuid, body: &Value) -> Answer {
    api.post_json(&format!("/v1/schedules/{id}/uncertain"), body)
        .await
}

/// Returns `changed`, then `busy`, `too_recent`, `not_uncertain`, `not_found`.
fn tally(answer: &Answer) -> [u64; 5] {
    assert_eq!(
        (answer.status, &answer.body["more"]),
        (StatusCode::OK, &json!(false)),
        "{}",
        answer.body
    );
    let left = |reason: &str| answer.body["left"][reason].as_u64().unwrap();
    let changed = answer.body["changed"].as_u64().unwrap();
    [
        changed,
        left("busy"),
        left("too_recent"),
        left("not_uncertain"),
        left("not_found"),
    ]
}

/// Returns the stored attempts as lines: `seq attempt STATUS id error`.
async fn attempts(pool: &MySqlPool, id: Uuid) -> Vec<String> {
    let sql = "SELECT CONCAT_WS(' ', seq, attempt, status, message_id, error) FROM attempts WHERE schedule_id = ? ORDER BY seq";
    sqlx::query_scalar(sql)
        .bind(id)
        .fetch_all(pool)
        .await
        .unwrap()
}

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
    rows::batch(
        &pool,
        id,
        1,
        "tries = 3, requeues = 2, check_at = now(600), sweep_at = now(600)",
    )
    .await;
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

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_the_named_recipients_are_resolved(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 4).await;
    rows::uncertain(&pool, id, 1..=12, 400).await;
    rows::batch(&pool, id, 2, "claim(60), sweep_at = now(65)").await;
    let invalid = api.schedule(&[]).await;
    api.append(invalid, "?on_invalid=skip", "text/csv", "x")
        .await;
    // Recipient 1 is named twice; 6 and 7 are in a claimed batch; 13 is not uncertain; 99 and the last
    // number are not in the schedule.
    let names = json!([
        1,
        phones(0..1)[0],
        phones(1..2)[0].replace('+', "00"),
        6,
        phones(6..7)[0],
        11,
        13,
        99,
        phones(500..501)[0]
    ]);
    let answer = resolve(&api, id, &json!({"outcome": "sent", "recipients": names})).await;
    assert_eq!(
        answer.problem(),
        "invalid-request",
        "00 is not an international prefix here"
    );
    let names = json!([
        1,
        phones(0..1)[0],
        phones(1..2)[0].replace("+1201", "+1 (201) "),
        6,
        phones(6..7)[0],
        11,
        13,
        99,
        phones(500..501)[0]
    ]);
    let answer = resolve(&api, id, &json!({"outcome": "sent", "recipients": names})).await;
    assert_eq!(tally(&answer), [3, 2, 0, 1, 2]);
    let lines = rows::recipients(&pool, id).await;
    let unknown: Vec<_> = (1_usize..)
        .zip(&lines)
        .filter(|(_, line)| line.contains("UNKNOWN"))
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(unknown, [1, 2, 11]);
    // One recipient, by its sequence number.
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

/// The response reports recipients in held and parked batches. A resend that is requested during a pause
/// is due when the pause ends.
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
        "free unowned now now now now 0 0 0",
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

/// Fifty times, a concurrent claim and decision: a claimed batch is never resolved.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_concurrent_decision_and_claim_are_serialized(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let db = Db::from_pool(pool.clone());
    for n in 0..50_u64 {
        let id = rows::cut(&api, &pool, 1).await;
        rows::uncertain(&pool, id, 1..=5, 400).await;
        rows::batch(&pool, id, 1, "check_at = now(-1), sweep_at = now(0)").await;
        let now = db.now();
        let claim = Claim::new(
            BatchMessage {
                schedule_id: id,
                batch_no: 1,
            },
            now,
            now + TimeDelta::seconds(60),
        );
        let claimed = async {
            tokio::time::sleep(Duration::from_micros(n * 60)).await;
            let claimed = retry_lock_conflicts(|| claim_to_check(&db, &claim))
                .await
                .unwrap();
            // The owner works with the rows that it reads here: no later decision changes them.
            let read: Vec<String> = rows::recipients(&pool, id).await;
            (claimed, read)
        };
        let body = json!({"outcome": "resend"});
        let (answer, (claimed, read)) = tokio::join!(resolve(&api, id, &body), claimed);
        assert!(claimed, "the decision leaves the batch due");
        let [changed, busy, ..] = tally(&answer);
        assert_eq!((changed + busy, changed * busy), (5, 0));
        assert_eq!(read, rows::recipients(&pool, id).await, "changed {changed}");
    }
}

/// An owner that was suspended past its lease records its answer after an operator has decided: the
/// answer belongs to the earlier attempt.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_late_answer_after_a_decision_is_recorded_on_the_old_attempt(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = rows::cut(&api, &pool, 1).await;
    rows::uncertain(&pool, id, 1..=1, 400).await;
    let batch = BatchMessage {
        schedule_id: id,
        batch_no: 1,
    };
    let claim = Claim::new(batch, Utc::now(), Utc::now() - TimeDelta::seconds(1));
    rows::batch(
        &pool,
        id,
        1,
        &format!(
            "claim(-1), sweep_at = now(0), claim_token = UNHEX('{}')",
            claim.token.simple()
        ),
    )
    .await;
    assert_eq!(
        tally(&resolve(&api, id, &json!({"outcome": "resend"})).await),
        [1, 0, 0, 0, 0]
    );
    let answer = FlushRow {
        seq: 1,
        attempt: 1,
        step: Step::Answer,
        resend: 0,
        status: Status::Acceptd,
        message_id: Some("id".into()),
        error: None,
        is_final: 0,
    };
    let mut connection = pool.acquire().await.unwrap();
    assert!(
        make_due_if_lease_lost(&mut connection, &claim, Utc::now())
            .await
            .unwrap(),
        "the owner detects that its lease is lost"
    );
    record_late_answers(&mut connection, batch, &[answer])
        .await
        .unwrap();
    assert_eq!(attempts(&pool, id).await, ["1 1 ACCEPTD id timed out"]);
}

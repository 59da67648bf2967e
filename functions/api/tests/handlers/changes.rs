//! Polls for changes: `changed_since` misses none, also not one that is visible later than its time.

use axum::{body::Body, http::Request};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{
    Answer, Api, phones,
    receipts::{accepted, push, receipt, row},
    rows::{batch, cut, schedule},
};

/// Returns the places of the recipients of a page, in any format.
fn seqs(answer: &Answer) -> Vec<u64> {
    let seq = |row: &Value| row["seq"].as_u64().unwrap();
    if let Some(text) = answer.body.as_str() {
        let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
        return rows.map(|row| seq(&row)).collect();
    }
    let rows = answer
        .body
        .get("messages")
        .or(answer.body.get("recipients"));
    rows.unwrap().as_array().unwrap().iter().map(seq).collect()
}

fn minutes_ago(minutes: i64) -> String {
    let time = Utc::now() - TimeDelta::minutes(minutes);
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Returns `changed_since` of the next poll.
fn next(answer: &Answer) -> Option<String> {
    let next = answer.headers.get("next-changed-since")?;
    Some(next.to_str().unwrap().to_owned())
}

/// Creates a schedule with recipients in all states, two of which have changed in the last minutes.
async fn mixed(api: &Api, pool: &MySqlPool) -> Uuid {
    let id = cut(api, pool, 2).await;
    schedule(pool, id, "run_at = UTC_TIMESTAMP(3) - INTERVAL 2 HOUR").await;
    let (old, new) = ("UTC_TIMESTAMP(3) - INTERVAL 1 HOUR", "UTC_TIMESTAMP(3)");
    let sent = |status: &str, at: &str| {
        format!("status = '{status}', attempt = 1, id_start = 'm', sent_at = {at}")
    };
    for (seq, assignments) in [
        (2, format!("{}, final_at = {old}", sent("DELIVRD", old))),
        (3, format!("{}, final_at = {new}", sent("DELIVRD", old))),
        (4, sent("ACCEPTD", old)),
        (5, sent("UNCERTAIN", old)),
        (6, sent("PENDING", old)),
        (7, format!("{}, final_at = {old}", sent("UNDELIV", old))),
        (8, sent("SENDING", new)),
        (9, format!("status = 'CANCELLED', final_at = {new}")),
        (10, format!("status = 'SUPPRESSED', final_at = {old}")),
    ] {
        row(pool, id, seq, &assignments).await;
    }
    id
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_poll_lists_what_has_changed_and_what_is_on_its_way(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = mixed(&api, &pool).await;
    let since = minutes_ago(30);
    let (recipients, messages) = (format!("/v1/schedules/{id}/recipients?"), "/v1/messages?");
    for format in ["json", "ndjson"] {
        for path in [
            recipients.clone(),
            format!("{messages}schedule_id={id}&"),
            messages.to_owned(),
        ] {
            let path = format!("{path}format={format}&changed_since=");
            let poll = api.get(&format!("{path}{since}")).await;
            assert_eq!(seqs(&poll), [3, 4, 5, 6, 8, 9], "{path}");
            let all = api.get(&format!("{path}{}", minutes_ago(90))).await;
            assert_eq!(seqs(&all), [2, 3, 4, 5, 6, 7, 8, 9, 10], "{path}");
            let ended = api.get(&format!("{path}{since}&status=DELIVRD")).await;
            assert_eq!(seqs(&ended), [3], "{path}");
        }
        for (seq, expected) in [(2, vec![]), (3, vec![3]), (4, vec![4])] {
            let phone = phones(seq - 1..seq).remove(0);
            let path = format!("{messages}phone={phone}&format={format}&changed_since={since}");
            assert_eq!(seqs(&api.get(&path).await), expected, "{path}");
        }
    }
    let wrong = api.get(&format!("{recipients}changed_since=today")).await;
    assert_eq!(wrong.body["errors"][0]["code"], "not-a-time");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_a_first_page_says_when_the_next_poll_begins(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = cut(&api, &pool, 1).await;
    schedule(&pool, id, "run_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR").await;
    for format in ["json", "csv"] {
        for path in [
            format!("/v1/schedules/{id}/recipients"),
            "/v1/messages".to_owned(),
        ] {
            let first = api.get(&format!("{path}?limit=2&format={format}")).await;
            let since: DateTime<Utc> = next(&first).unwrap().parse().unwrap();
            let before = Utc::now() - since;
            assert!(
                before >= TimeDelta::minutes(5) && before < TimeDelta::minutes(6),
                "{before}"
            );
            let link = first.headers["link"].to_str().unwrap();
            let link = link.trim_start_matches('<').split('>').next().unwrap();
            assert_eq!(next(&api.get(link).await), None, "{path} {format}");
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_change_that_is_visible_after_the_poll_is_in_the_next_one(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = cut(&api, &pool, 1).await;
    let path = format!("/v1/schedules/{id}/recipients?changed_since=");
    let mut late = pool.begin().await.unwrap();
    let sql = "UPDATE recipients SET status = 'CANCELLED', final_at = UTC_TIMESTAMP(3) WHERE schedule_id = ? AND seq = 2";
    sqlx::query(sql).bind(id).execute(&mut *late).await.unwrap();
    let poll = api.get(&format!("{path}{}", minutes_ago(1))).await;
    assert!(seqs(&poll).is_empty());
    late.commit().await.unwrap();
    let poll = api.get(&format!("{path}{}", next(&poll).unwrap())).await;
    assert_eq!(seqs(&poll), [2]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_receipt_for_a_finished_schedule_is_a_change(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 1).await;
    let long_ago = "UTC_TIMESTAMP(3) - INTERVAL 1 HOUR";
    let ended = format!("status = 'DELIVRD', sent_at = {long_ago}, final_at = {long_ago}");
    for seq in [1, 2, 4, 5] {
        row(&pool, id, seq, &ended).await;
    }
    row(
        &pool,
        id,
        3,
        &format!("status = 'UNCERTAIN', sent_at = {long_ago}"),
    )
    .await;
    let rests = "check_at = NULL, sweep_at = NULL, acceptd = 0, delivrd = 4, uncertain = 1";
    batch(&pool, id, 1, rests).await;
    let finished = format!("status = 'finished', run_at = {long_ago}, finished_at = {long_ago}");
    schedule(&pool, id, &finished).await;
    let since = minutes_ago(10);
    let path = format!("/v1/messages?changed_since={since}");
    assert!(seqs(&api.get(&path).await).is_empty());
    let answer = push(&api, &json!([receipt(3, "m3", "DELIVRD")])).await;
    assert_eq!(answer.body["recorded"], 1, "{}", answer.body);
    for path in [path.clone(), format!("{path}&format=ndjson")] {
        assert_eq!(seqs(&api.get(&path).await), [3], "{path}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_poll_lists_what_is_cancelled_ahead_of_its_time(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..3)).await;
    let since = minutes_ago(1);
    let request = Request::delete(format!("/v1/schedules/{id}/recipients/2"));
    let cancelled = api.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(cancelled.body["in_time"], true, "{}", cancelled.body);
    for format in ["json", "ndjson"] {
        let path = format!("/v1/messages?format={format}&changed_since={since}");
        assert_eq!(seqs(&api.get(&path).await), [2], "{format}");
        // A bound of the time of sending leaves it out: it was never sent.
        let path = format!("{path}&to={since}");
        assert_eq!(seqs(&api.get(&path).await), [0_u64; 0], "{format}");
    }
}

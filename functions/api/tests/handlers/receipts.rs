//! Effects of receipts on recipients: each status, repeats, concurrent, late and early receipts,
//! and receipts for single parts.

use crate::common::{
    Api,
    receipts::{accepted, lines, push, receipt, rechecks, row, tally},
    rows,
};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::{
    db::MIGRATOR,
    metrics::{Counter, Measure, collect},
};
use sqlx::MySqlPool;

/// Each status of the carrier, and two that only it uses.
const STATUSES: [&str; 9] = [
    "DELIVRD", "UNDELIV", "EXPIRED", "DELETED", "REJECTD", "ENROUTE", "ACCEPTD", "UNKNOWN",
    "IM_EXPD",
];

/// Receipts for the first nine recipients, one per status.
fn one_per_status() -> Value {
    let receipts = (1..).zip(STATUSES);
    receipts
        .map(|(seq, status)| receipt(seq, &format!("m{seq}"), status))
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_status_is_recorded_and_a_repeat_changes_nothing(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 2).await;
    let body = one_per_status();
    let (pushed, figures) = collect(push(&api, &body)).await;
    assert_eq!(tally(&pushed), [9, 0, 0, 0, 0]);
    let counts: Vec<_> = figures.counts().collect();
    let expected = [
        (Counter::Delivered, 1),
        (Counter::Undelivered, 4),
        (Counter::Receipts, 9),
    ];
    assert_eq!(counts, expected);
    let times = figures.values(Measure::TimeToDelivered);
    assert_eq!(times.len(), 1, "{times:?}");
    assert!((60.0..75.0).contains(&times[0]), "{times:?}");
    let after = lines(&pool, id).await;
    assert_eq!(
        after,
        [
            "1 DELIVRD 1 m1 DELIVRD final",
            "2 UNDELIV 1 m2 UNDELIV final",
            "3 EXPIRED 1 m3 EXPIRED final",
            "4 DELETED 1 m4 DELETED final",
            "5 REJECTD 1 m5 REJECTD final",
            "6 ENROUTE 1 m6 ENROUTE",
            "7 ACCEPTD 1 m7 ACCEPTD",
            "8 ACCEPTD 1 m8 UNKNOWN",
            "9 ENROUTE 1 m9 IM_EXPD",
            "10 ACCEPTD 1 m10",
        ]
    );
    assert_eq!(
        rechecks(&api),
        [(1, 0)],
        "the first batch has no recipient left to wait for"
    );
    for _ in 0..3 {
        assert_eq!(tally(&push(&api, &body).await), [0, 9, 0, 0, 0]);
    }
    assert_eq!((lines(&pool, id).await, rechecks(&api)), (after, vec![]));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_final_status_is_never_overwritten(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 2).await;
    push(&api, &one_per_status()).await;
    let after = lines(&pool, id).await;
    let late: Vec<_> = (1..=5)
        .flat_map(|seq| STATUSES.map(|status| receipt(seq, &format!("m{seq}"), status)))
        .collect();
    assert_eq!(tally(&push(&api, &json!(late)).await), [0, 45, 0, 0, 0]);
    assert_eq!(
        tally(&push(&api, &receipt(6, "m6", "ACCEPTD")).await),
        [0, 1, 0, 0, 0],
        "ENROUTE never becomes ACCEPTD"
    );
    assert_eq!(lines(&pool, id).await, after);
    // Several receipts for one message in one call: the first final status is recorded.
    let body = json!([
        receipt(10, "m10", "ENROUTE"),
        receipt(10, "m10", "DELIVRD"),
        receipt(10, "m10", "UNDELIV")
    ]);
    assert_eq!(tally(&push(&api, &body).await), [1, 2, 0, 0, 0]);
    assert_eq!(lines(&pool, id).await[9], "10 DELIVRD 1 m10 DELIVRD final");
}

/// A hundred times: two contradicting receipts and a copy of the first arrive concurrently. Exactly
/// one of them is recorded, permanently.
#[sqlx::test(migrator = "MIGRATOR")]
async fn concurrent_receipts_for_one_message_are_serialized(pool: MySqlPool) {
    let (one, other) = (Api::new(&pool).await, Api::new(&pool).await);
    let third = Api::new(&pool).await;
    let id = accepted(&one, &pool, 20).await;
    for seq in 1..=100 {
        let (good, bad) = (
            receipt(seq, &format!("m{seq}"), "DELIVRD"),
            receipt(seq, &format!("m{seq}"), "UNDELIV"),
        );
        let (first, second, third) =
            tokio::join!(push(&one, &good), push(&other, &bad), push(&third, &good));
        let recorded: u64 = [first, second, third]
            .iter()
            .map(|answer| tally(answer)[0])
            .sum();
        assert_eq!(recorded, 1, "{seq}");
    }
    let lines = lines(&pool, id).await;
    assert!(
        lines
            .iter()
            .all(|line| line.ends_with("DELIVRD final") || line.ends_with("UNDELIV final"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_receipt_is_matched_by_phone_number_and_message_id(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let (older, newer) = (
        accepted(&api, &pool, 1).await,
        accepted(&api, &pool, 1).await,
    );
    assert_eq!(
        tally(&push(&api, &receipt(1, "m1", "DELIVRD")).await),
        [1, 0, 0, 0, 0]
    );
    assert_eq!(
        lines(&pool, older).await[0],
        "1 ACCEPTD 1 m1",
        "the receipt belongs to the newest schedule with this number and id"
    );
    assert_eq!(lines(&pool, newer).await[0], "1 DELIVRD 1 m1 DELIVRD final");
    row(&pool, older, 2, "id_start = 'only-here'").await;
    #[rustfmt::skip]
    let table = [
        (receipt(2, "only-here", "DELIVRD"), [1, 0, 0, 0, 0]),
        (receipt(3, "only-here", "DELIVRD"), [0, 0, 1, 0, 0]),      // another recipient's number
        (receipt(2, "ONLY-HERE", "DELIVRD"), [0, 0, 1, 0, 0]),      // ids are compared case-sensitively
        (receipt(2, "only", "DELIVRD"), [0, 0, 1, 0, 0]),
        (receipt(2, "%", "DELIVRD"), [0, 0, 1, 0, 0]),
        (receipt(400, "m1", "DELIVRD"), [0, 0, 1, 0, 0]),
        (receipt(2, "018f00000000700080000000000000aa-2-1", "DELIVRD"), [0, 0, 1, 0, 0]),  // the format of our ids, of an unknown schedule
    ];
    for (receipt, expected) in table {
        let answer = push(&api, &receipt).await;
        assert_eq!(
            (answer.status, tally(&answer)),
            (StatusCode::OK, expected),
            "{receipt}"
        );
    }
}

/// The row is marked and possibly sent, but its answer is not recorded yet: the carrier is asked to
/// send the receipt again, and the repeat is recorded.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_receipt_that_precedes_the_recorded_answer_is_sent_again(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 1).await;
    row(&pool, id, 1, "status = 'SENDING', id_start = NULL").await;
    row(&pool, id, 2, "status = 'UNCERTAIN', id_start = NULL").await;
    row(
        &pool,
        id,
        3,
        "status = 'UNCERTAIN', id_start = NULL, sent_at = UTC_TIMESTAMP(3) - INTERVAL 16 MINUTE",
    )
    .await;
    let own = format!("{}-1-1", id.simple());
    let body = json!([
        receipt(1, "m1", "DELIVRD"),
        receipt(2, "m2", "DELIVRD"),
        receipt(3, "m3", "DELIVRD"),
        receipt(4, "m4", "DELIVRD"),
        receipt(1, &own, "DELIVRD")
    ]);
    let answer = push(&api, &body).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::SERVICE_UNAVAILABLE, "receipt-too-early")
    );
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    assert_eq!(tally(&answer), [1, 0, 1, 3, 0]);
    let expected = [
        "1 SENDING 1",
        "2 UNCERTAIN 1",
        "3 UNCERTAIN 1",
        "4 DELIVRD 1 m4 DELIVRD final",
        "5 ACCEPTD 1 m5",
    ];
    assert_eq!(lines(&pool, id).await, expected);
    // The answers are recorded, and the carrier sends the same receipts again.
    row(&pool, id, 1, "status = 'ACCEPTD', id_start = 'm1'").await;
    row(&pool, id, 2, "status = 'ACCEPTD', id_start = 'm2'").await;
    let answer = push(&api, &body).await;
    assert_eq!(
        (answer.status, tally(&answer)),
        (StatusCode::OK, [2, 2, 1, 0, 0])
    );
    assert_eq!(lines(&pool, id).await[0], "1 DELIVRD 1 m1 DELIVRD final");
}

/// Only the owner of a batch changes a PENDING row, and no answer is outstanding for it.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_receipt_for_a_pending_recipient_is_unknown(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 1).await;
    row(&pool, id, 5, "status = 'PENDING', id_start = NULL").await;
    let own = format!("{}-5-1", id.simple());
    let body = json!([receipt(5, &own, "DELIVRD"), receipt(5, "m5", "DELIVRD")]);
    assert_eq!(tally(&push(&api, &body).await), [0, 0, 2, 0, 0]);
    assert_eq!(lines(&pool, id).await[4], "5 PENDING 1");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_receipt_with_our_id_resolves_an_uncertain_message_and_reopens_its_schedule(
    pool: MySqlPool,
) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 1).await;
    rows::batch(&pool, id, 1, "check_at = NULL, sweep_at = NULL").await;
    rows::schedule(
        &pool,
        id,
        "status = 'finished', finished_at = UTC_TIMESTAMP(3)",
    )
    .await;
    for seq in 1..=5 {
        row(&pool, id, seq, "status = 'UNCERTAIN', id_start = NULL, error = 'timed out', attempt = 3, sent_at = '2020-01-01'")
            .await;
    }
    let own = |seq: u32, tail: &str| format!("{}-{seq}-{tail}", id.simple());
    let body = json!([
        receipt(1, &own(1, "3"), "DELIVRD"),
        receipt(2, &own(2, "3"), "ENROUTE"),
        receipt(3, &own(3, "2"), "DELIVRD"), // another attempt
        receipt(3, &own(2, "3"), "DELIVRD"), // another recipient's number
        receipt(4, &own(4, "3-2"), "REJECTD"),
        // One delivered part proves acceptance only; the recheck determines the number of parts.
        receipt(5, &own(5, "3-1"), "DELIVRD"),
        receipt(5, &own(5, "3"), "UNKNOWN"),
    ]);
    assert_eq!(tally(&push(&api, &body).await), [3, 2, 2, 0, 0]);
    let own_id = |seq: u32, tail: &str| own(seq, tail);
    assert_eq!(
        lines(&pool, id).await,
        [
            format!("1 DELIVRD 3 {} DELIVRD final", own_id(1, "3")),
            format!("2 ENROUTE 3 {} ENROUTE", own_id(2, "3")),
            "3 UNCERTAIN 3".to_owned(),
            format!("4 REJECTD 3 {} REJECTD final", own_id(4, "3-2")),
            "5 UNCERTAIN 3".to_owned(),
        ]
    );
    assert_eq!(
        rows::batch_line(&pool, id, 1).await,
        "free unowned - later later past 0 0 0"
    );
    assert_eq!(rechecks(&api), [(1, 59)]);
    assert_eq!(
        api.get(&format!("/v1/schedules/{id}")).await.body["status"],
        "running",
        "the schedule has work again"
    );
}

/// A text with several parts: a failed part fails the message, a delivered part proves nothing. The
/// recheck that it brings forward is enqueued once.
#[sqlx::test(migrator = "MIGRATOR")]
async fn a_receipt_for_one_part_can_fail_a_message_but_not_deliver_it(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 2).await;
    rows::schedule(&pool, id, "parts = 3").await;
    for seq in 1..=3 {
        row(
            &pool,
            id,
            seq,
            &format!("id_start = 'a{seq},b{seq},c{seq}'"),
        )
        .await;
    }
    let delivered = json!([
        receipt(1, "a1", "DELIVRD"),
        receipt(1, "b1", "DELIVRD"),
        receipt(1, "c1", "ENROUTE"),
        receipt(1, "b", "DELIVRD")
    ]);
    assert_eq!(tally(&push(&api, &delivered).await), [0, 3, 1, 0, 0]);
    assert_eq!(lines(&pool, id).await[0], "1 ACCEPTD 1 a1,b1,c1");
    assert_eq!(
        rows::batch_line(&pool, id, 1).await,
        "free unowned - later later past 0 0 0"
    );
    assert_eq!(
        rechecks(&api),
        [(1, 59)],
        "within one minute, for all receipts that arrive until then"
    );
    for part in ["a2", "b2", "c2", "a3"] {
        let seq = part[1..].parse().unwrap();
        push(&api, &receipt(seq, part, "DELIVRD")).await;
    }
    assert_eq!(rechecks(&api), [], "many receipts cause one recheck");
    assert_eq!(
        tally(
            &push(
                &api,
                &json!([receipt(2, "a2", "DELIVRD"), receipt(2, "c2", "EXPIRED")])
            )
            .await
        ),
        [1, 1, 0, 0, 0]
    );
    assert_eq!(
        lines(&pool, id).await[1],
        "2 EXPIRED 1 a2,b2,c2 EXPIRED final"
    );
}

//! Signatures and bodies of pushed receipts: all refusals as a table. No refused request reaches
//! the database.

use crate::common::{
    Api, count,
    receipts::{PATH, SECRET, accepted, lines, push, receipt, sign, tally},
};
use api::{App, resources::receipts::secrets::Callbacks, routes::router};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::Utc;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// A receipt call whose parts can be replaced one by one.
struct Call<'a> {
    path: &'a str,
    timestamp: Option<String>,
    signature: Option<String>,
    body: String,
}

impl Call<'_> {
    /// Sends the call. Returns status, problem slug (empty if accepted) and body.
    async fn send(self, api: &Api) -> (StatusCode, String, Value) {
        let mut request = Request::post(self.path);
        for (name, value) in [
            ("x-callback-timestamp", &self.timestamp),
            ("x-callback-signature", &self.signature),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = api
            .with("")
            .call(request.body(Body::from(self.body)).unwrap())
            .await;
        let slug = if answer.status == StatusCode::OK {
            String::new()
        } else {
            answer.problem().to_owned()
        };
        (answer.status, slug, answer.body)
    }
}

/// A correctly signed call with one receipt.
fn good() -> Call<'static> {
    let (timestamp, body) = (
        Utc::now().timestamp().to_string(),
        json!([receipt(1, "m1", "DELIVRD")]).to_string(),
    );
    let signature = sign(SECRET, &timestamp, body.as_bytes());
    Call {
        path: PATH,
        timestamp: Some(timestamp),
        signature: Some(signature),
        body,
    }
}

/// A correctly signed call whose time stamp is this many seconds from now.
fn at(seconds: i64) -> Call<'static> {
    let Call { body, .. } = good();
    let timestamp = (Utc::now().timestamp() + seconds).to_string();
    let signature = sign(SECRET, &timestamp, body.as_bytes());
    Call {
        timestamp: Some(timestamp),
        signature: Some(signature),
        ..good()
    }
}

/// The database pool is closed, and all refusals stay the same: a caller without the secret never
/// causes a statement.
#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unsigned_receipt_is_refused_without_a_statement(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 1).await;
    let before = lines(&pool, id).await;
    api.db.pool.close().await;
    let stale = good().signature.unwrap();
    let zeros = format!("v1={}", "0".repeat(64));
    #[rustfmt::skip]
    let table = [
        ("no header", Call { timestamp: None, signature: None, ..good() }, "bad-signature"),
        ("no signature", Call { signature: None, ..good() }, "bad-signature"),
        ("no time stamp", Call { timestamp: None, ..good() }, "bad-signature"),
        ("another signature", Call { signature: Some(zeros.clone()), ..good() }, "bad-signature"),
        ("an unknown secret", Call { signature: Some(sign("another secret of more than thirty-two bytes", &good().timestamp.unwrap(), good().body.as_bytes())), ..good() }, "bad-signature"),
        ("another body", Call { body: good().body.replace("DELIVRD", "UNDELIV"), ..good() }, "bad-signature"),
        ("a space after the body", Call { body: good().body + " ", ..good() }, "bad-signature"),
        ("another time", Call { signature: Some(stale), timestamp: Some((Utc::now().timestamp() - 7).to_string()), ..good() }, "bad-signature"),
        ("an old time, signed", at(-301), "bad-signature"),
        ("a future time, signed", at(302), "bad-signature"),
        ("another version", Call { signature: good().signature.map(|it| it.replace("v1", "v2")), ..good() }, "bad-signature"),
        ("the body unsigned", Call { signature: Some(sign(SECRET, "", good().body.as_bytes())), ..good() }, "bad-signature"),
        ("a carrier without a secret", Call { path: "/v1/carrier/callbacks/other", ..good() }, "not-found"),
        ("the carrier name in upper case", Call { path: "/v1/carrier/callbacks/SIM", ..good() }, "not-found"),
        ("a longer path", Call { path: "/v1/carrier/callbacks/sim/x", ..good() }, "not-found"),
        ("signed, not JSON", { let c = good(); Call { signature: Some(sign(SECRET, c.timestamp.as_ref().unwrap(), b"x")), body: "x".to_owned(), ..c } }, "malformed-body"),
        ("a body too large", Call { body: " ".repeat(1024 * 1024 + 1), ..good() }, "too-large"),
    ];
    for (what, call, slug) in table {
        let (_, found, body) = call.send(&api).await;
        assert_eq!(found, slug, "{what}: {body}");
        assert!(
            !body.to_string().contains("12012000"),
            "{what}: the response contains a phone number"
        );
    }
    let get = api.with("").get(PATH).await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        good().send(&api).await.1,
        "unavailable",
        "a correctly signed call reaches the database"
    );
    assert_eq!(lines(&pool, id).await, before);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_signature_suffices_and_no_request_is_counted(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    accepted(&api, &pool, 1).await;
    let calls = count(&pool, "SELECT COUNT(*) FROM callers").await;
    // Signed with the previous secret, and with two signatures, as during a change of the secret.
    let old = {
        let c = good();
        Call {
            signature: Some(sign(
                "the one before it, of more than thirty-two bytes",
                c.timestamp.as_ref().unwrap(),
                c.body.as_bytes(),
            )),
            ..c
        }
    };
    let two = {
        let c = good();
        Call {
            signature: c
                .signature
                .as_ref()
                .map(|it| format!("v1={},{it}", "0".repeat(64))),
            ..c
        }
    };
    for call in [good(), old, two, at(-290), at(290)] {
        assert_eq!(call.send(&api).await.0, StatusCode::OK);
    }
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM callers").await, calls);
    // A login and an Idempotency-Key have no effect.
    let unsigned = api
        .call(
            Request::post(PATH)
                .header("idempotency-key", "x")
                .body(Body::from("[]"))
                .unwrap(),
        )
        .await;
    assert_eq!(
        (unsigned.status, unsigned.problem()),
        (StatusCode::UNAUTHORIZED, "bad-signature")
    );
    assert_eq!(
        unsigned.headers["www-authenticate"],
        "HMAC-SHA256 realm=\"callbacks\""
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn without_configured_secrets_no_receipt_is_accepted(pool: MySqlPool) {
    let mut api = Api::new(&pool).await;
    let callbacks = Callbacks::open(None).await.unwrap();
    api.router = router(App {
        callbacks,
        ..api.app.clone()
    });
    assert_eq!(good().send(&api).await.1, "not-found");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn invalid_receipts_are_reported_by_position_and_valid_ones_recorded(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = accepted(&api, &pool, 1).await;
    let mut extra = receipt(2, "m2", "UNDELIV");
    extra["error_code"] = json!(5);
    extra["delivery_time"] = json!("2109220933");
    extra["something"] = json!({"new": true});
    let body = json!([receipt(1, "m1", "DELIVRD"), 7, {"message_id": "m3", "status": "DELIVRD"}, extra, receipt(9, "m9", "DELIVRD"), receipt(4, "m4", "")]);
    let answer = push(&api, &body).await;
    assert_eq!(
        (answer.status, tally(&answer)),
        (StatusCode::OK, [2, 0, 1, 0, 3])
    );
    let invalid = answer.body["invalid"].as_array().unwrap().iter();
    let invalid: Vec<_> = invalid
        .map(|wrong| {
            (
                wrong["position"].as_u64().unwrap(),
                wrong["field"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(invalid, [(1, ""), (2, "dnis"), (5, "status")]);
    assert_eq!(
        lines(&pool, id).await[..3],
        [
            "1 DELIVRD 1 m1 DELIVRD final",
            "2 UNDELIV 1 m2 UNDELIV final",
            "3 ACCEPTD 1 m3"
        ]
    );
    // A request without any valid receipt is refused, so that a misconfigured carrier notices it.
    let answer = push(&api, &json!({"id": "m3", "to": "60123456789"})).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request")
    );
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 3);
    assert_eq!(tally(&push(&api, &json!([])).await), [0; 5]);
    assert_eq!(
        push(&api, &json!(vec![receipt(1, "m1", "DELIVRD"); 1001]))
            .await
            .problem(),
        "too-large"
    );
    assert_eq!(
        tally(&push(&api, &json!(vec![receipt(1, "m1", "DELIVRD"); 1000])).await),
        [0, 1000, 0, 0, 0]
    );
}

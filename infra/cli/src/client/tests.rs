use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header as has_header, method, path},
};

use super::*;
use crate::credentials::tests::temporary;

fn client(server: &MockServer, store: Option<Store>) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let credentials = Credentials {
        url: server.uri(),
        access_token: Some("old".to_owned()),
        refresh_token: Some("next".to_owned()),
        ..Credentials::default()
    };
    let client = Client::new(credentials, store).unwrap();
    Client {
        first_delay: Duration::from_millis(1),
        ..client
    }
}

fn problem(status: u16, slug: &str) -> ResponseTemplate {
    let document = json!({"type": format!("/problems/{slug}"), "title": slug, "status": status});
    ResponseTemplate::new(status).set_body_json(document)
}

async fn answers(server: &MockServer, answer: ResponseTemplate, times: u64) {
    let mock = Mock::given(path("/x")).respond_with(answer);
    mock.up_to_n_times(times).mount(server).await;
}

#[tokio::test]
async fn a_call_is_repeated_with_the_same_key_until_it_is_answered() {
    let server = MockServer::start().await;
    answers(
        &server,
        problem(503, "unavailable").insert_header("Retry-After", "0"),
        1,
    )
    .await;
    answers(
        &server,
        problem(429, "rate-limited").insert_header("Retry-After", "0"),
        1,
    )
    .await;
    answers(&server, problem(409, "idempotency-in-progress"), 1).await;
    answers(
        &server,
        ResponseTemplate::new(200).set_body_json(json!({"a": 1})),
        1,
    )
    .await;
    let mut client = client(&server, None);
    assert_eq!(
        client.json(Call::post("/x")).await.unwrap(),
        json!({"a": 1})
    );
    let requests = server.received_requests().await.unwrap();
    let keys: Vec<_> = requests
        .iter()
        .map(|request| &request.headers["idempotency-key"])
        .collect();
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn a_refusal_is_final_and_a_long_wait_is_not_waited_for() {
    let table = [
        (problem(422, "invalid-request"), 1, 1),
        (
            problem(429, "daily-limit").insert_header("Retry-After", "1"),
            1,
            1,
        ),
        (
            problem(429, "login-locked").insert_header("Retry-After", "900"),
            3,
            1,
        ),
        (problem(500, "internal"), 3, TRIES as usize),
    ];
    for (answer, code, calls) in table {
        let server = MockServer::start().await;
        answers(&server, answer, 100).await;
        let failure = client(&server, None)
            .json(Call::post("/x"))
            .await
            .unwrap_err();
        assert_eq!(failure.code(), code, "{failure}");
        assert_eq!(
            server.received_requests().await.unwrap().len(),
            calls,
            "{failure}"
        );
    }
}

#[tokio::test]
async fn an_expired_token_is_exchanged_once_and_stored() {
    let server = MockServer::start().await;
    let with = |token: &str| {
        Mock::given(path("/x")).and(has_header("authorization", format!("Bearer {token}")))
    };
    with("old")
        .respond_with(problem(401, "unauthenticated"))
        .mount(&server)
        .await;
    with("new")
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({})))
        .mount(&server)
        .await;
    let tokens = json!({"access_token": "new", "refresh_token": "later"});
    Mock::given(method("POST"))
        .and(path("/v1/auth/refresh"))
        .respond_with(ResponseTemplate::new(200).set_body_json(tokens))
        .expect(1)
        .mount(&server)
        .await;
    let store = temporary();
    let mut first = client(&server, Some(store.clone()));
    store.write(&first.credentials).unwrap();
    first.json(Call::get("/x")).await.unwrap();
    assert_eq!(
        store.read().unwrap().unwrap().refresh_token.unwrap(),
        "later"
    );
    // A second process, which still has the old token, takes the stored one.
    let mut second = client(&server, Some(store.clone()));
    second.json(Call::get("/x")).await.unwrap();
    store.remove().unwrap();
}

#[tokio::test]
async fn no_answer_at_all_is_unreachable() {
    let server = MockServer::start().await;
    let mut client = client(&server, None);
    client.credentials.url = "http://127.0.0.1:1".to_owned();
    assert_eq!(client.json(Call::get("/x")).await.unwrap_err().code(), 3);
}

#[test]
fn a_login_is_sent_only_to_the_api_that_gave_it() {
    let stored = Credentials {
        url: "https://a".to_owned(),
        key: Some("k".to_owned()),
        ..Credentials::default()
    };
    let access = |url: Option<&str>, key: Option<&str>| Access {
        url: url.map(str::to_owned),
        key: key.map(str::to_owned),
    };
    let table = [
        (access(None, None), true, Some(("https://a", "k"))),
        (
            access(Some("https://a/"), None),
            true,
            Some(("https://a", "k")),
        ),
        (access(Some("https://b"), None), true, None),
        (
            access(Some("https://b"), Some("x")),
            true,
            Some(("https://b", "x")),
        ),
        (access(None, Some("x")), true, Some(("https://a", "x"))),
        (access(None, Some("x")), false, None),
        (access(None, None), false, None),
    ];
    for (access, is_stored, expected) in table {
        let chosen = choose(&access, is_stored.then(|| stored.clone())).ok();
        let chosen = chosen.map(|(chosen, _)| (chosen.url, chosen.key.unwrap()));
        let expected = expected.map(|(url, key)| (url.to_owned(), key.to_owned()));
        assert_eq!(chosen, expected, "{access:?}");
    }
}

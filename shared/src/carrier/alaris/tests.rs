//! The adapter over real HTTP: the requests, and the result of each way in which a connection can
//! end.

mod tcp_carrier;

use std::{
    io::Write,
    net::{Shutdown, TcpListener},
    sync::{Arc, atomic::Ordering},
    thread::sleep,
    time::Duration,
};

use serde_json::json;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, method, query_param},
};

use self::tcp_carrier::{Talk, carrier};
use super::*;
use crate::{carrier::own_ids, message::status::Status};

const NUMBERS: [&str; 2] = ["+60123456789", "+6581234567"];
const YES: &str =
    r#"[{"dnis":"6581234567","message_id":"b"},{"dnis":"60123456789","message_id":"a"}]"#;

fn settings(adapter: &'static Adapter, url: &str) -> CarrierSettings {
    CarrierSettings {
        adapter,
        url: url.into(),
        timeout: Duration::from_millis(1500),
        own_ids: false,
        login: None,
    }
}

fn bare(url: &str) -> Arc<dyn Carrier> {
    settings(&BARE, url).connect().unwrap()
}

fn full(url: &str, own_ids: bool) -> Arc<dyn Carrier> {
    let settings = CarrierSettings {
        timeout: Duration::from_secs(5),
        own_ids,
        login: Some(Login {
            username: "me".into(),
            password: "p&ss word".into(),
        }),
        ..settings(&FULL, url)
    };
    settings.connect().unwrap()
}

fn to(numbers: &'static [&'static str]) -> Submit<'static> {
    Submit {
        numbers,
        text: "Dinner at eight? €5 & more",
        sender: Some("Shop"),
        own_id: Some("s-1-1"),
        parts: 2,
    }
}

fn lost(reason: &str) -> Result<Vec<Option<String>>, SendError> {
    Err(SendError::Lost {
        reason: reason.into(),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "compared with results")]
fn accepted() -> Result<Vec<Option<String>>, SendError> {
    Ok(vec![Some("a".into()), Some("b".into())])
}

async fn mock(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

async fn last_request(server: &MockServer) -> Request {
    server.received_requests().await.unwrap().pop().unwrap()
}

#[tokio::test]
async fn the_bare_form_is_json_with_two_fields() {
    let server = mock(ResponseTemplate::new(200).set_body_raw(YES, "text/html")).await;
    let carrier = bare(&format!("{}/api", server.uri()));
    assert_eq!(carrier.submit(to(&NUMBERS)).await, accepted());
    let request = last_request(&server).await;
    assert_eq!(
        (
            request.method.as_str(),
            request.url.path(),
            request.url.query()
        ),
        ("POST", "/api", None)
    );
    let body: serde_json::Value = request.body_json().unwrap();
    assert_eq!(
        body,
        json!({"dnis": "60123456789,6581234567", "message": "Dinner at eight? €5 & more"})
    );
    assert_eq!(
        (carrier.max_numbers(), carrier.can_ask_own_id()),
        (100, false)
    );
}

#[tokio::test]
async fn the_full_form_is_a_form_in_the_body() {
    let server = mock(ResponseTemplate::new(200).set_body_string(YES)).await;
    let carrier = full(&server.uri(), false);
    carrier
        .submit(Submit {
            parts: 1,
            sender: None,
            ..to(&NUMBERS)
        })
        .await
        .unwrap();
    let short = "command=submit&username=me&password=p%26ss+word&dnis=60123456789%2C6581234567&message=Dinner+at+eight%3F+%E2%82%AC5+%26+more";
    let request = last_request(&server).await;
    assert_eq!(
        (
            request.url.query(),
            String::from_utf8(request.body).unwrap()
        ),
        (None, short.to_owned())
    );
    carrier.submit(to(&NUMBERS)).await.unwrap();
    let long = format!("{short}&ani=Shop&longMessageMode=split");
    assert_eq!(
        String::from_utf8(last_request(&server).await.body).unwrap(),
        long
    );
    let carrier = full(&server.uri(), true);
    carrier.submit(to(&NUMBERS[..1])).await.unwrap();
    assert!(
        last_request(&server)
            .await
            .body
            .ends_with(b"&longMessageMode=split&incMsgId=s-1-1")
    );
    assert_eq!((carrier.max_numbers(), carrier.can_ask_own_id()), (1, true));
}

#[tokio::test]
async fn too_many_numbers_are_refused_before_anything_is_sent() {
    let server = mock(ResponseTemplate::new(200)).await;
    let refused = full(&server.uri(), true).submit(to(&NUMBERS)).await;
    assert_eq!(
        refused,
        Err(SendError::Refused {
            reason: "2 numbers in one request".into()
        })
    );
    assert!(bare(&server.uri()).submit(to(&[])).await.is_err());
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn each_part_is_queried_separately() {
    let server = MockServer::start().await;
    for (id, status) in [("a", "DELIVRD"), ("b", "UNDELIV"), ("c#1", "DELIVRD")] {
        let body = format!(r#"{{"status":"{status}","delivery_time":""}}"#);
        let answer = ResponseTemplate::new(200).set_body_raw(body, "text/html");
        Mock::given(method("GET"))
            .and(query_param("messageId", id))
            .respond_with(answer)
            .mount(&server)
            .await;
    }
    let carrier = full(&format!("{}/api", server.uri()), false);
    let status = |status: Status| {
        Ok(StatusAnswer::Status {
            status,
            raw: status.as_str().into(),
        })
    };
    assert_eq!(carrier.status("a").await, status(Status::Delivrd));
    assert_eq!(
        last_request(&server).await.url.query(),
        Some("messageId=a&command=query&username=me&password=p%26ss+word")
    );
    assert_eq!(carrier.status("a,c#1").await, status(Status::Delivrd));
    assert_eq!(carrier.status("a,b,c#1").await, status(Status::Undeliv));
    assert_eq!(
        carrier.status("a,z").await,
        Err(StatusError::Failed {
            reason: "HTTP 404".into()
        })
    );
    bare(&server.uri()).status("a").await.unwrap();
    assert_eq!(last_request(&server).await.url.query(), Some("messageId=a"));
}

#[tokio::test]
async fn a_failed_connection_is_not_accepted() {
    let closed_port = format!(
        "http://{}/api",
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    );
    let (closing, _) = carrier(|talk| drop(talk.stream.shutdown(Shutdown::Both)));
    let (silent, _) = carrier(|_| sleep(Duration::from_secs(4)));
    let table = [
        (closed_port, "no connection"),
        (closing.replace("http:", "https:"), "no connection"),
        (silent.replace("http:", "https:"), "no connection in time"),
        ("http://carrier.invalid/api".to_owned(), "name not resolved"),
    ];
    for (url, reason) in table {
        let error = bare(&url).submit(to(&NUMBERS)).await.unwrap_err();
        // If no name server answers, the resolution of an unknown name takes long.
        let reason = if reason == "name not resolved" && error.reason() == "no connection in time" {
            error.reason()
        } else {
            reason
        };
        assert_eq!(
            error,
            SendError::NotAccepted {
                reason: reason.into(),
            },
            "{url}"
        );
        assert!(error.certainly_not_accepted());
        assert_eq!(
            bare(&url).status("a").await,
            Err(StatusError::Failed {
                reason: reason.into()
            })
        );
    }
}

#[tokio::test]
async fn a_request_without_an_answer_is_lost() {
    type Case = (&'static str, &'static str, fn(&mut Talk));
    #[rustfmt::skip]
    let table: [Case; 7] = [
        ("closed after the request", "connection broke", Talk::read_request),
        ("reset within the request", "connection broke", Talk::read_a_byte),
        ("no answer", "no answer in time", |talk| { talk.read_request(); sleep(Duration::from_secs(4)); }),
        ("half an answer, then closed", "connection broke", |talk| { talk.read_request(); write!(talk.stream, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[{{").unwrap(); }),
        ("half an answer, then silence", "no answer in time", |talk| { talk.read_request(); write!(talk.stream, "HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\n400").unwrap(); sleep(Duration::from_secs(4)); }),
        ("not HTTP", "connection broke", |talk| { talk.read_request(); talk.stream.write_all(b"400 NO ROUTES\r\n").unwrap(); }),
        ("endless", "answer too long", |talk| { talk.read_request(); drop(write!(talk.stream, "HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(300_000))); }),
    ];
    for (name, reason, talk) in table {
        let (url, requests) = carrier(talk);
        assert_eq!(
            bare(&url).submit(to(&NUMBERS)).await,
            lost(reason),
            "{name}"
        );
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{name}");
    }
}

#[tokio::test]
async fn a_request_is_made_once_if_the_idle_connection_breaks() {
    type Case = (
        &'static str,
        fn(&mut Talk),
        usize,
        Result<Vec<Option<String>>, SendError>,
    );
    let table: [Case; 3] = [
        // Nothing of the second request was written yet, so it goes out on a new connection.
        ("closed while idle", |_| (), 2, accepted()),
        (
            "closed after the second request",
            Talk::read_request,
            2,
            lost("connection broke"),
        ),
        (
            "reset within the second request",
            Talk::read_a_byte,
            2,
            lost("connection broke"),
        ),
    ];
    for (name, then, count, expected) in table {
        let (url, requests) = carrier(move |talk| {
            talk.read_request();
            talk.answer("200 OK", YES);
            if talk.connection == 0 {
                then(talk);
            }
        });
        let carrier = bare(&url);
        assert_eq!(carrier.submit(to(&NUMBERS)).await, accepted(), "{name}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(carrier.submit(to(&NUMBERS)).await, expected, "{name}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(requests.load(Ordering::SeqCst), count, "{name}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_reused() {
    let (url, requests) = carrier(|talk| {
        for _ in 0..3 {
            talk.read_request();
            talk.answer("200 OK", YES);
        }
        sleep(Duration::from_secs(4));
    });
    let carrier = bare(&url);
    for _ in 0..3 {
        assert_eq!(carrier.submit(to(&NUMBERS)).await, accepted());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_429_names_the_wait() {
    let server = mock(ResponseTemplate::new(429).insert_header("Retry-After", "7")).await;
    let (reason, retry_after) = ("HTTP 429".to_owned(), Some(Duration::from_secs(7)));
    let error = bare(&server.uri()).submit(to(&NUMBERS)).await.unwrap_err();
    assert_eq!(
        (error.retry_after(), error.certainly_not_accepted()),
        (retry_after, true)
    );
    assert_eq!(
        bare(&server.uri()).status("a").await,
        Err(StatusError::Busy {
            reason,
            retry_after
        })
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = mock(ResponseTemplate::new(200).set_body_string(YES)).await;
    for status in [301, 302, 303, 307, 308] {
        let server =
            mock(ResponseTemplate::new(status).insert_header("Location", elsewhere.uri())).await;
        assert_eq!(
            bare(&server.uri()).submit(to(&NUMBERS)).await,
            lost(&format!("HTTP {status}"))
        );
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[test]
fn own_ids_count_the_parts() {
    assert_eq!(own_ids("s-1-1", 1), "s-1-1");
    assert_eq!(own_ids("s-1-1", 3), "s-1-1-1,s-1-1-2,s-1-1-3");
}

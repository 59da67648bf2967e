//! Tokens, and logins with them at a server that is not RDS.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use sqlx::{ConnectOptions, Connection, mysql::MySqlPoolOptions};

use super::{fake_server::FakeServer, *};
use crate::platform::db::{connection::Connections, login::Login};

/// 2026-11-29T10:00:00Z
const TEN_O_CLOCK: u64 = 1_795_946_400;

fn ten_o_clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(TEN_O_CLOCK)
}

fn credentials(session_token: Option<&str>) -> Credentials {
    Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token.map(str::to_owned),
        None,
        "test",
    )
}

fn address(host: &str, port: u16) -> DatabaseAddress {
    DatabaseAddress {
        host: host.to_owned(),
        port,
        name: "sms".to_owned(),
        user: "sms_app".to_owned(),
    }
}

/// Returns the server of a token and its parameters.
fn read(token: &str) -> (String, BTreeMap<String, String>) {
    let url = Url::parse(&format!("https://{token}")).unwrap();
    let parameters = url.query_pairs().into_owned().collect();
    (url[..url::Position::AfterPort].to_owned(), parameters)
}

/// The expected tokens are those of `generate_db_auth_token` of botocore 1.43, with
/// `botocore.auth.get_current_datetime` replaced by one that returns ten o'clock. The order of the
/// parameters does not matter.
#[test]
fn a_token_is_what_botocore_signs() {
    let expected = "sms.abc123.ap-southeast-1.rds.amazonaws.com:3306/?Action=connect&DBUser=sms_app\
        &X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20261129%2Fap-southeast-1%2Frds-db%2Faws4_request\
        &X-Amz-Date=20261129T100000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host";
    for (session_token, rest) in [
        (
            None,
            "&X-Amz-Signature=ad422d87885479911b417ba3f2186bd8e0168946b76c0a80e6a91a4bcdb74281",
        ),
        (
            Some("AQoDYXdzEJr//session+token=="),
            "&X-Amz-Security-Token=AQoDYXdzEJr%2F%2Fsession%2Btoken%3D%3D\
             &X-Amz-Signature=cc57e784733a1f69294f57eeb1f7a5e835805cd7a1999af194b2b974f50d610d",
        ),
    ] {
        let address = address("sms.abc123.ap-southeast-1.rds.amazonaws.com", 3306);
        let region = "ap-southeast-1";
        let signed = token(&address, region, credentials(session_token), ten_o_clock());
        let signed = signed.unwrap();
        assert_eq!(
            read(signed.expose_secret()),
            read(&format!("{expected}{rest}"))
        );
    }
}

#[test]
fn a_token_is_refused_unless_the_server_proves_its_identity() {
    let token = SecretString::from("hunter2".to_owned());
    for mode in [
        MySqlSslMode::Disabled,
        MySqlSslMode::Preferred,
        MySqlSslMode::Required,
        MySqlSslMode::VerifyCa,
    ] {
        let options = verified_options(&address("h.example", 3306)).ssl_mode(mode);
        let error = with_token(options, &token).unwrap_err().to_string();
        assert!(error.contains("proves its identity"), "{mode:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(with_token(verified_options(&address("h.example", 3306)), &token).is_ok());
}

/// Returns a later time with each call, by more than a token is valid for.
fn twenty_minutes_later() -> SystemTime {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let calls = CALLS.fetch_add(1, Ordering::Relaxed);
    ten_o_clock() + Duration::from_secs(20 * 60 * calls)
}

fn trusting(address: &DatabaseAddress) -> MySqlConnectOptions {
    verified_options(address).ssl_ca_from_pem(FakeServer::certificate())
}

fn login(server: &FakeServer, options: fn(&DatabaseAddress) -> MySqlConnectOptions) -> IamLogin {
    IamLogin {
        address: address("localhost", server.port),
        region: "eu-central-1".to_owned(),
        credentials: SharedCredentialsProvider::new(credentials(None)),
        options,
        now: ten_o_clock,
    }
}

#[tokio::test]
async fn each_connection_is_opened_with_a_token_of_its_own() {
    let server = FakeServer::start();
    let login = Login::Iam(Arc::new(IamLogin {
        now: twenty_minutes_later,
        ..login(&server, trusting)
    }));
    // The token of 10:00, which the pool never uses.
    let options = login.options().await.unwrap();
    let pool = MySqlPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options);
    let connections = Connections::kept(Some(login));
    for signed_at in ["20261129T102000Z", "20261129T104000Z", "20261129T110000Z"] {
        let mut connection = connections.acquire(&pool).await.unwrap();
        let token = server.received.recv().unwrap().unwrap();
        let (host, parameters) = read(&token);
        assert_eq!(host, format!("https://localhost:{}", server.port));
        assert_eq!(parameters["DBUser"], "sms_app");
        assert_eq!(parameters["X-Amz-Expires"], "900");
        assert_eq!(parameters["X-Amz-Date"], signed_at);
        assert!(connection.ping().await.is_err(), "the server has closed it");
    }
}

/// Connects, and returns the error.
async fn refusal(
    server: &FakeServer,
    options: fn(&DatabaseAddress) -> MySqlConnectOptions,
) -> sqlx::Error {
    let options = login(server, options).options().await.unwrap();
    let error = options.connect().await.err().unwrap();
    assert_eq!(server.received.recv().unwrap(), None, "nothing was sent");
    error
}

#[tokio::test]
async fn no_token_is_sent_to_a_server_with_another_certificate_or_without_tls() {
    let impostor = FakeServer::start();
    let error = refusal(&impostor, verified_options).await;
    assert!(
        matches!(error, sqlx::Error::Tls(_) | sqlx::Error::Io(_)),
        "{error}"
    );
    let with_another_name = |address: &DatabaseAddress| trusting(address).host("127.0.0.1");
    let error = refusal(&impostor, with_another_name).await;
    assert!(
        matches!(error, sqlx::Error::Tls(_) | sqlx::Error::Io(_)),
        "{error}"
    );
    let plain = FakeServer::without_tls();
    let error = refusal(&plain, trusting).await;
    assert!(
        error.to_string().contains("does not support TLS"),
        "{error}"
    );
}

#[tokio::test]
async fn a_login_that_would_not_verify_the_server_fails_before_it_connects() {
    let server = FakeServer::start();
    let unverified = |address: &DatabaseAddress| trusting(address).ssl_mode(MySqlSslMode::Required);
    let error = login(&server, unverified).options().await.unwrap_err();
    assert!(error.to_string().contains("proves its identity"), "{error}");
}

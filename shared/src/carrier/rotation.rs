//! A carrier whose account is in a secret: after a rotation the carrier refuses the old password.
//! Nothing was accepted then, so the secret is read again, and if it has changed, the request is made
//! once more, before anything is paused.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use async_trait::async_trait;
use chrono::Utc;

use super::{Carrier, CarrierSettings, Login, SendError, StatusAnswer, StatusError, Submit};
use crate::platform::refreshing::Refreshing;

/// Reads the secret of an account. Its error does not quote the text.
pub(super) fn parse_login(text: &str) -> anyhow::Result<Login> {
    serde_json::from_str(text)
        .ok()
        .context("expected JSON with username and password")
}

/// The client with the account that the secret contains.
pub(super) struct RotatingCarrier {
    /// Without a login.
    settings: CarrierSettings,
    secret: Refreshing<Login>,
    current: RwLock<Client>,
}

#[derive(Clone)]
struct Client {
    login: Arc<Login>,
    carrier: Arc<dyn Carrier>,
}

impl RotatingCarrier {
    /// Prepares the client. Connects to nothing yet.
    pub(super) fn connect(
        settings: CarrierSettings,
        secret: Refreshing<Login>,
    ) -> anyhow::Result<Self> {
        let client = Client::connect(&settings, secret.current())?;
        Ok(Self {
            settings,
            secret,
            current: RwLock::new(client),
        })
    }

    fn current(&self) -> Client {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a client with another account than `seen`, if the secret contains one.
    async fn renewed(&self, seen: &Client) -> Option<Client> {
        let renewed = self.secret.newer_than(&seen.login, Utc::now()).await;
        let client = Client::connect(&self.settings, renewed.ok()??).ok()?;
        tracing::info!("the carrier's secret has changed");
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = client.clone();
        Some(client)
    }
}

impl Client {
    fn connect(settings: &CarrierSettings, login: Arc<Login>) -> anyhow::Result<Self> {
        let settings = CarrierSettings {
            login: Some(Login::clone(&login)),
            ..settings.clone()
        };
        let carrier = settings.connect()?;
        Ok(Self { login, carrier })
    }
}

#[async_trait]
impl Carrier for RotatingCarrier {
    async fn submit(&self, submit: Submit<'_>) -> Result<Vec<Option<String>>, SendError> {
        let client = self.current();
        let answer = client.carrier.submit(submit).await;
        if let Err(SendError::AccountRefused { .. }) = &answer
            && let Some(renewed) = self.renewed(&client).await
        {
            return renewed.carrier.submit(submit).await;
        }
        answer
    }

    async fn status(&self, ids: &str) -> Result<StatusAnswer, StatusError> {
        let client = self.current();
        let answer = client.carrier.status(ids).await;
        if let Err(StatusError::AccountRefused { .. }) = &answer
            && let Some(renewed) = self.renewed(&client).await
        {
            return renewed.carrier.status(ids).await;
        }
        answer
    }

    fn max_numbers(&self) -> usize {
        self.current().carrier.max_numbers()
    }

    fn can_ask_own_id(&self) -> bool {
        self.current().carrier.can_ask_own_id()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use serde_json::json;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{any, body_string_contains, query_param},
    };

    use super::*;
    use crate::{
        carrier::alaris::FULL,
        message::status::Status,
        platform::{config::KeySource, refreshing::ReadSecret},
    };

    const SUBMIT: Submit<'_> = Submit {
        numbers: &["+60123456789"],
        text: "Hello",
        sender: None,
        own_id: None,
        parts: 1,
    };

    /// A carrier that accepts only the password `new`.
    async fn server() -> MockServer {
        let server = MockServer::start().await;
        let accepted = json!([{"dnis": "60123456789", "message_id": "a"}]);
        for mock in [
            Mock::given(body_string_contains("password=new"))
                .respond_with(ResponseTemplate::new(200).set_body_json(accepted)),
            Mock::given(query_param("password", "new")).respond_with(
                ResponseTemplate::new(200).set_body_json(json!({"status": "DELIVRD"})),
            ),
            Mock::given(any())
                .respond_with(ResponseTemplate::new(401).set_body_string("401 UNAUTHORIZED")),
        ] {
            mock.mount(&server).await;
        }
        server
    }

    /// A secret whose password can be changed, and the number of its reads.
    #[derive(Default)]
    struct Secret {
        password: Mutex<&'static str>,
        reads: AtomicUsize,
    }

    async fn connect(url: &str, secret: &Arc<Secret>) -> RotatingCarrier {
        let source = Arc::clone(secret);
        let read_secret: ReadSecret = Box::new(move |_| {
            source.reads.fetch_add(1, Ordering::Relaxed);
            let password = *source.password.lock().unwrap();
            let text = json!({"username": "me", "password": password}).to_string();
            Box::pin(async move { Ok(text) })
        });
        let arn = KeySource::SecretArn("arn:x".to_owned());
        let login = Refreshing::open_with(arn, parse_login, read_secret);
        let settings = CarrierSettings {
            adapter: &FULL,
            url: url.to_owned(),
            timeout: Duration::from_secs(5),
            own_ids: false,
            login: None,
        };
        RotatingCarrier::connect(settings, login.await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_rotated_password_is_used_before_the_account_counts_as_refused() {
        let server = server().await;
        for ask in [false, true] {
            let secret = Arc::new(Secret::default());
            *secret.password.lock().unwrap() = "old";
            let carrier = connect(&server.uri(), &secret).await;
            *secret.password.lock().unwrap() = "new";
            if ask {
                let status = carrier.status("a").await.unwrap();
                let raw = "DELIVRD".to_owned();
                assert_eq!(
                    status,
                    StatusAnswer::Status {
                        status: Status::Delivrd,
                        raw
                    }
                );
            } else {
                let ids = carrier.submit(SUBMIT).await.unwrap();
                assert_eq!(ids, [Some("a".to_owned())]);
            }
            carrier.submit(SUBMIT).await.unwrap();
            assert_eq!(
                secret.reads.load(Ordering::Relaxed),
                2,
                "the new one is kept"
            );
        }
    }

    #[tokio::test]
    async fn a_refused_account_is_refused_once_if_the_secret_is_the_same() {
        let server = server().await;
        let secret = Arc::new(Secret::default());
        *secret.password.lock().unwrap() = "old";
        let carrier = connect(&server.uri(), &secret).await;
        for _ in 0..3 {
            let refused = carrier.submit(SUBMIT).await.unwrap_err();
            assert!(
                matches!(refused, SendError::AccountRefused { .. }),
                "{refused}"
            );
        }
        // The secret is read again once per minute, and tried once.
        assert_eq!(secret.reads.load(Ordering::Relaxed), 2);
        assert_eq!(server.received_requests().await.unwrap().len(), 4);
    }
}

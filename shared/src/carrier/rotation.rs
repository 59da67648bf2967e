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

//! One configuration session of AWS AppConfig: each answer has the token of the next question, and
//! no content if nothing has changed.

use anyhow::Context;
use aws_sdk_appconfigdata::Client;

use super::{ConfigurationName, RunTimeValues};
use crate::platform::aws;

/// A session.
pub(super) struct Session {
    client: Client,
    name: ConfigurationName,
    /// The token of the next question; `None`: a session has to be started.
    token: Option<String>,
}

impl Session {
    pub(super) async fn new(name: ConfigurationName) -> Self {
        Self::with_client(Client::new(aws::sdk_config().await), name)
    }

    /// Returns a session with another client, for tests.
    pub(super) const fn with_client(client: Client, name: ConfigurationName) -> Self {
        Self {
            client,
            name,
            token: None,
        }
    }

    /// Returns the values if they are new, or if this is the first question of a session.
    ///
    /// A token is used once. If an answer is lost, or the token has expired, the next call starts a
    /// new session.
    pub(super) async fn read(&mut self) -> anyhow::Result<Option<RunTimeValues>> {
        let token = match self.token.take() {
            Some(token) => token,
            None => self.start().await?,
        };
        let answer = self
            .client
            .get_latest_configuration()
            .configuration_token(token)
            .send()
            .await
            .context("reading the configuration")?;
        self.token = answer.next_poll_configuration_token;
        let content = answer.configuration.unwrap_or_default().into_inner();
        if content.is_empty() {
            return Ok(None);
        }
        let values = serde_json::from_slice(&content);
        values
            .context("the configuration is not as expected")
            .map(Some)
    }

    async fn start(&self) -> anyhow::Result<String> {
        let name = &self.name;
        let started = self
            .client
            .start_configuration_session()
            .application_identifier(&name.application)
            .environment_identifier(&name.environment)
            .configuration_profile_identifier(&name.profile)
            .send()
            .await
            .context("starting a configuration session")?;
        started
            .initial_configuration_token
            .context("the session has no token")
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_appconfigdata::config::{Credentials, Region, SharedCredentialsProvider};
    use serde_json::json;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path, query_param},
    };

    use super::*;

    async fn session(server: &MockServer) -> Session {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = aws::sdk_config().await.clone().into_builder();
        let config = config
            .endpoint_url(server.uri())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        let name = ConfigurationName {
            application: "a".to_owned(),
            environment: "e".to_owned(),
            profile: "p".to_owned(),
        };
        Session::with_client(Client::new(&config.build()), name)
    }

    /// Answers the question with a token by a content and the next token.
    async fn answer(server: &MockServer, token: &str, content: &str, next: &str) {
        let answer = ResponseTemplate::new(200)
            .insert_header("Next-Poll-Configuration-Token", next)
            .set_body_raw(content.as_bytes(), "application/json");
        Mock::given(method("GET"))
            .and(path("/configuration"))
            .and(query_param("configuration_token", token))
            .respond_with(answer)
            .expect(1)
            .mount(server)
            .await;
    }

    #[tokio::test]
    async fn a_session_asks_with_the_token_of_the_last_answer() {
        let server = MockServer::start().await;
        let started = json!({"InitialConfigurationToken": "first"});
        Mock::given(method("POST"))
            .and(path("/configurationsessions"))
            .respond_with(ResponseTemplate::new(201).set_body_json(started))
            .expect(2)
            .mount(&server)
            .await;
        answer(&server, "first", r#"{"bulk_above": 7}"#, "second").await;
        answer(&server, "second", "", "third").await;
        answer(&server, "third", r#"{"bulk_above": "many"}"#, "fourth").await;
        let mut session = session(&server).await;
        let read = session.read().await.unwrap().unwrap();
        assert_eq!(read.bulk_above, Some(7));
        assert_eq!(session.read().await.unwrap(), None, "nothing has changed");
        assert!(session.read().await.is_err(), "the content is wrong");
        // The token that is not known is not used again: a new session begins.
        session.token = Some("expired".to_owned());
        assert!(session.read().await.is_err());
        assert!(session.token.is_none());
        assert_eq!(session.start().await.unwrap(), "first");
    }
}

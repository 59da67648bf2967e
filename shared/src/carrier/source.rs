//! Which carrier, from the environment.

use std::time::Duration;

use anyhow::Context;
use secrecy::SecretString;
use serde::Deserialize;

use crate::carrier::{Alaris, CarrierConfig, Form};
use crate::platform::config::Env;

/// What the environment says of the carrier; where the login comes from a secret, that has not been read yet.
pub struct Source {
    url: String,
    timeout: Duration,
    own_ids: bool,
    login: Login,
}

enum Login {
    None,
    Given {
        username: String,
        password: SecretString,
    },
    SecretArn(String),
}

#[derive(Deserialize)]
struct Secret {
    username: String,
    password: SecretString,
}

impl Source {
    /// `CARRIER_URL`; `CARRIER_FORM`, bare or alaris; for the latter `CARRIER_USERNAME` and `CARRIER_PASSWORD` or
    /// `CARRIER_SECRET_ARN`, and `CARRIER_OWN_IDS`; `CARRIER_TIMEOUT_S`.
    pub fn from_env(env: &mut Env) -> Self {
        let bare = env.choice("CARRIER_FORM", &["bare", "alaris"]) == "bare";
        let own_ids = env.flag("CARRIER_OWN_IDS");
        if bare && own_ids {
            env.complain::<()>(
                "CARRIER_OWN_IDS",
                "is true; the bare form has no ids of ours, expected CARRIER_FORM alaris",
            );
        }
        let login = match env.optional("CARRIER_SECRET_ARN") {
            _ if bare => Login::None,
            Some(arn) => Login::SecretArn(arn),
            None => Login::Given {
                username: env.text("CARRIER_USERNAME"),
                password: env.text("CARRIER_PASSWORD").into(),
            },
        };
        Self {
            url: env.url("CARRIER_URL"),
            timeout: env.seconds("CARRIER_TIMEOUT_S", 1..=50, Some(20)),
            own_ids,
            login,
        }
    }

    /// The adapter, once the login is known.
    pub async fn connect(self) -> anyhow::Result<Alaris> {
        let alaris = |username, password| Form::Alaris {
            username,
            password,
            own_ids: self.own_ids,
        };
        let form = match self.login {
            Login::None => Form::Bare,
            Login::Given { username, password } => alaris(username, password),
            Login::SecretArn(arn) => {
                let secret = crate::platform::aws::read_secret(&arn)
                    .await
                    .context("the carrier's secret")?;
                let secret: Secret = serde_json::from_str(&secret)
                    .context("the carrier's secret lacks username or password")?;
                alaris(secret.username, secret.password)
            }
        };
        Alaris::new(CarrierConfig {
            url: self.url,
            form,
            timeout: self.timeout,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pairs: &[(&str, &str)]) -> String {
        let mut env = Env::from_pairs(pairs.iter().copied());
        Source::from_env(&mut env);
        env.finish(())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let url = ("CARRIER_URL", "http://127.0.0.1:1/api");
        assert_eq!(problems(&[url]), "");
        assert_eq!(
            problems(&[
                url,
                ("CARRIER_FORM", "alaris"),
                ("CARRIER_SECRET_ARN", "arn:x")
            ]),
            ""
        );
        assert!(problems(&[url, ("CARRIER_OWN_IDS", "true")]).contains("CARRIER_OWN_IDS is true"));
        let missing = problems(&[("CARRIER_FORM", "alaris")]);
        for name in ["CARRIER_URL", "CARRIER_USERNAME", "CARRIER_PASSWORD"] {
            assert!(missing.contains(&format!("{name} is missing")), "{missing}");
        }
    }
}

//! The list of adapters, and the client of the one that the environment selects.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    Carrier, alaris,
    receipt::ReceiptFormat,
    rotation::{RotatingCarrier, parse_login},
};
use crate::platform::{
    config::{Env, KeySource},
    refreshing::Refreshing,
};

/// Every adapter. A new carrier adds its line here.
pub const ADAPTERS: &[&Adapter] = &[&alaris::BARE, &alaris::FULL];

/// The description of a carrier's API, which is available without a connection to it.
pub struct Adapter {
    /// The value of `CARRIER_ADAPTER`: lower case, digits, hyphens.
    pub name: &'static str,
    /// Whether the API has accounts, so that a login is required.
    pub needs_login: bool,
    /// Whether the API takes own ids ([`super::own_ids`]).
    pub takes_own_ids: bool,
    /// Returns the largest number of phone numbers in a request, with own ids or without.
    pub max_numbers: fn(own_ids: bool) -> usize,
    /// Prepares the client. Connects to nothing yet.
    pub connect: fn(CarrierSettings) -> anyhow::Result<Arc<dyn Carrier>>,
    /// The format and the signature of the carrier's receipts, if it pushes any.
    pub receipts: &'static dyn ReceiptFormat,
}

/// The address of a carrier, and the settings of its client.
#[derive(Clone)]
pub struct CarrierSettings {
    /// The adapter.
    pub adapter: &'static Adapter,
    /// Such as `https://carrier.example:8002/api`.
    pub url: String,
    /// For one request, from the connection to the last byte of the answer.
    pub timeout: Duration,
    /// Whether messages carry own ids.
    pub own_ids: bool,
    /// The account, if the adapter needs one.
    pub login: Option<Login>,
}

impl CarrierSettings {
    /// Prepares the adapter's client. Connects to nothing yet.
    pub fn connect(self) -> anyhow::Result<Arc<dyn Carrier>> {
        (self.adapter.connect)(self)
    }
}

/// An account at a carrier.
#[derive(Clone, Deserialize)]
pub struct Login {
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: SecretString,
}

/// The carrier that the environment names. A login in Secrets Manager is not read yet.
pub struct CarrierSource {
    settings: CarrierSettings,
    login_arn: Option<String>,
}

/// Reads `CARRIER_ADAPTER` (default: the first of [`ADAPTERS`]).
pub fn adapter_from_env(env: &mut Env) -> &'static Adapter {
    let allowed: Vec<_> = ADAPTERS.iter().map(|adapter| adapter.name).collect();
    let name = env.choice("CARRIER_ADAPTER", &allowed);
    let chosen = ADAPTERS.iter().find(|adapter| adapter.name == name);
    chosen.unwrap_or(&ADAPTERS[0])
}

/// Reads `CARRIER_OWN_IDS`, and reports a problem if the adapter takes no own ids.
pub fn own_ids_from_env(env: &mut Env, adapter: &Adapter) -> bool {
    let own_ids = env.flag("CARRIER_OWN_IDS");
    if own_ids && !adapter.takes_own_ids {
        let problem = format!(
            "is true; expected false, as the adapter {} takes no own ids",
            adapter.name
        );
        env.report::<()>("CARRIER_OWN_IDS", problem);
    }
    own_ids
}

impl CarrierSource {
    /// Reads `CARRIER_ADAPTER`, `CARRIER_URL`, `CARRIER_TIMEOUT_S`, `CARRIER_OWN_IDS`; and, if the
    /// adapter needs a login, `CARRIER_SECRET_ARN`, or `CARRIER_USERNAME` and `CARRIER_PASSWORD`.
    pub fn from_env(env: &mut Env) -> Self {
        let adapter = adapter_from_env(env);
        let own_ids = own_ids_from_env(env, adapter);
        let mut login_arn = env
            .optional(
                "CARRIER_SECRET_ARN",
                "the ARN of a secret, {username, password}",
            )
            .filter(|_| adapter.needs_login);
        let login = (adapter.needs_login && login_arn.is_none()).then(|| Login {
            username: env.text("CARRIER_USERNAME"),
            password: env.text("CARRIER_PASSWORD").into(),
        });
        Self {
            settings: CarrierSettings {
                adapter,
                url: env.url("CARRIER_URL"),
                timeout: env.seconds("CARRIER_TIMEOUT_S", 1..=50, Some(20)),
                own_ids,
                login,
            },
            login_arn: login_arn.take(),
        }
    }

    /// Reads the login, if it is in a secret, and prepares the client.
    pub async fn connect(self) -> anyhow::Result<Arc<dyn Carrier>> {
        let Some(arn) = self.login_arn else {
            return self.settings.connect();
        };
        let secret = Refreshing::open(KeySource::SecretArn(arn), parse_login);
        let secret = secret.await.context("the carrier's secret")?;
        Ok(Arc::new(RotatingCarrier::connect(self.settings, secret)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pairs: &[(&str, &str)]) -> String {
        let mut env = Env::from_pairs(pairs.iter().copied());
        CarrierSource::from_env(&mut env);
        env.finish(())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        let url = ("CARRIER_URL", "http://127.0.0.1:1/api");
        let full = ("CARRIER_ADAPTER", "alaris");
        assert_eq!(problems(&[url]), "");
        assert_eq!(problems(&[url, full, ("CARRIER_SECRET_ARN", "arn:x")]), "");
        assert!(problems(&[url, ("CARRIER_OWN_IDS", "true")]).contains("CARRIER_OWN_IDS is true"));
        let missing = problems(&[full]);
        for name in ["CARRIER_URL", "CARRIER_USERNAME", "CARRIER_PASSWORD"] {
            assert!(missing.contains(&format!("{name} is missing")), "{missing}");
        }
    }

    #[test]
    fn each_adapter_has_a_name_of_its_own_and_a_bound_on_a_request() {
        for (at, adapter) in ADAPTERS.iter().enumerate() {
            let same = |other: &&&Adapter| other.name == adapter.name;
            assert_eq!(ADAPTERS.iter().position(|other| same(&other)), Some(at));
            let named = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
            assert!(adapter.name.bytes().all(named), "{}", adapter.name);
            for own_ids in [false, adapter.takes_own_ids] {
                assert!((adapter.max_numbers)(own_ids) >= 1, "{}", adapter.name);
            }
        }
    }

    #[test]
    fn the_template_allows_each_adapter_and_no_other() {
        let template = include_str!("../../../template.yaml");
        let names: Vec<_> = ADAPTERS.iter().map(|adapter| adapter.name).collect();
        let allowed = format!("AllowedValues: [{}]", names.join(", "));
        let parameter = template
            .split("\n  CarrierAdapter:\n")
            .nth(1)
            .and_then(|rest| rest.split("\n  Carrier").next())
            .unwrap();
        assert!(
            parameter.contains(&allowed),
            "expected {allowed}:\n{parameter}"
        );
    }
}

//! Applies JSON patches to the settings and checks their values.

use serde_json::Value;

use crate::callback_target::CallbackTarget;
use crate::random::Share;
use crate::settings::{Settings, SettingsError};

/// Tolerance for a sum of shares: ten times 0.1 is not exactly 1 either.
const SUM_TOLERANCE: f64 = 1e-9;

impl Settings {
    /// Returns these settings with the fields of `patch`, a JSON object, replaced.
    pub fn patched(&self, patch: Value) -> Result<Self, SettingsError> {
        let Value::Object(patch) = patch else {
            return Err(SettingsError::new(
                "settings",
                format!("expected a JSON object, found {}", json_type(&patch)),
            ));
        };
        let mut merged =
            serde_json::to_value(self).map_err(|error| SettingsError::new("settings", error))?;
        if let Value::Object(fields) = &mut merged {
            fields.extend(patch);
        }
        let settings: Self = serde_path_to_error::deserialize(merged)
            .map_err(|error| SettingsError::new(&error.path().to_string(), error.inner()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Checks that each value is within its range and that related values are consistent.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        check_shares(&self.message_outcomes())?;
        check_shares(&self.faults_before_acceptance())?;
        check_shares(&self.faults_after_acceptance())?;
        check_shares(&self.status_query_faults())?;
        self.check_delivery_delay()?;
        self.check_credit()?;
        self.check_callback()
    }

    fn check_delivery_delay(&self) -> Result<(), SettingsError> {
        let (min, max) = (self.delivery_delay_ms_min, self.delivery_delay_ms_max);
        if min > max {
            return Err(SettingsError::new(
                "delivery_delay_ms_min",
                format!(
                    "{min} is too large; expected at most delivery_delay_ms_max, which is {max}"
                ),
            ));
        }
        Ok(())
    }

    fn check_credit(&self) -> Result<(), SettingsError> {
        match self.credit_status {
            Some(status) if !(200..600).contains(&status) => Err(SettingsError::new(
                "credit_status",
                format!("{status} is out of range; expected an HTTP status from 200 to 599"),
            )),
            _ => Ok(()),
        }
    }

    fn check_callback(&self) -> Result<(), SettingsError> {
        let Some(url) = &self.callback_url else {
            return Ok(());
        };
        if CallbackTarget::parse(url).is_none() {
            return Err(SettingsError::new(
                "callback_url",
                format!(
                    "{url:?} is not allowed; expected an http URL with the host 127.0.0.1, \
                     localhost or [::1]"
                ),
            ));
        }
        if self.callback_secret.is_none() {
            return Err(SettingsError::new(
                "callback_secret",
                "is missing; expected a secret, because callback_url is set",
            ));
        }
        Ok(())
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Checks that each share is a probability and that the shares of one draw sum to at most 1.
fn check_shares<T>(shares: &[Share<T>]) -> Result<(), SettingsError> {
    for Share {
        setting,
        probability,
        ..
    } in shares
    {
        if !(0.0..=1.0).contains(probability) {
            return Err(SettingsError::new(
                setting,
                format!("{probability} is out of range; expected a number from 0 to 1"),
            ));
        }
    }
    let sum: f64 = shares.iter().map(|share| share.probability).sum();
    if sum > 1.0 + SUM_TOLERANCE {
        let positive = shares.iter().filter(|share| share.probability > 0.0);
        let names: Vec<_> = positive.map(|share| share.setting).collect();
        return Err(SettingsError::new(
            &names.join(", "),
            format!("add up to {sum}; expected a sum of at most 1"),
        ));
    }
    Ok(())
}

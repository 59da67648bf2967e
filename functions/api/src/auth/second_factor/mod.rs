//! The second factor of a person: time-based one-time passwords (TOTP, RFC 6238) of an authenticator
//! app, and recovery codes for the day on which the phone is lost.
//!
//! The secret of a person is derived from a key of the deployment and the factor's id: no row contains
//! one. Each code is accepted once: the time step of the last one is in the row.

pub mod store;

use chrono::{DateTime, Utc};
use shared::{
    access::Role,
    events::keys::SharedKeys,
    platform::secret::{hash_token, random_text},
};
use totp_rs::{Algorithm, TOTP};
use uuid::Uuid;

use crate::{auth::second_factor::store::FactorRow, http::error::ApiError};

/// Digits of a code.
pub const DIGITS: usize = 6;
/// Seconds for which a code is shown.
pub const STEP_S: u64 = 30;
/// Steps before and after now whose codes are accepted, because clocks differ.
const SKEW: u64 = 1;
/// Recovery codes of a person.
pub const RECOVERY_CODES: usize = 10;
/// Characters of a recovery code, of five bits each.
const RECOVERY_LENGTH: usize = 16;

/// Who needs a second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequiredOf {
    /// Nobody has to have one.
    #[default]
    Nobody,
    /// Administrators.
    Admins,
    /// Everybody who logs in with a password.
    Everybody,
}

impl RequiredOf {
    /// The values of the setting.
    pub const EXPECTED: &'static str = "nobody, admins or everybody";

    /// Parses the setting.
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "nobody" => Some(Self::Nobody),
            "admins" => Some(Self::Admins),
            "everybody" => Some(Self::Everybody),
            _ => None,
        }
    }

    /// Returns whether a person with this role needs one.
    pub fn includes(self, role: Role) -> bool {
        match self {
            Self::Nobody => false,
            Self::Admins => role == Role::Admin,
            Self::Everybody => true,
        }
    }
}

/// A secret that an authenticator app shares.
pub struct Secret(TOTP);

impl Secret {
    /// Derives the secret of a factor. `None`: its key does not exist any more.
    pub async fn of(
        keys: &SharedKeys,
        key_id: &str,
        factor: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, ApiError> {
        let derived = keys.second_factor(key_id, factor, now).await;
        let derived = derived.map_err(|error| ApiError::KeysUnavailable(error.to_string()))?;
        let secret = derived.map(Self::from_bytes).transpose();
        secret.map_err(|error| ApiError::Internal(format!("{error:#}")))
    }

    /// Returns the secret of these bytes, at least 16.
    pub fn from_bytes(bytes: Vec<u8>) -> anyhow::Result<Self> {
        let totp = TOTP::new(Algorithm::SHA1, DIGITS, SKEW as u8, STEP_S, bytes);
        totp.map(Self)
            .map_err(|error| anyhow::anyhow!("a second factor: {error}"))
    }

    /// Returns the secret as people type it, in base32.
    pub fn base32(&self) -> String {
        self.0.get_secret_base32()
    }

    /// Returns the address that an authenticator app reads.
    pub fn uri(&self, issuer: &str, username: &str) -> String {
        let encode = |text: &str| {
            let bytes = text.as_bytes();
            url::form_urlencoded::byte_serialize(bytes)
                .collect::<String>()
                .replace('+', "%20")
        };
        let (issuer, username) = (encode(issuer), encode(username));
        let secret = self.base32();
        format!(
            "otpauth://totp/{issuer}:{username}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_S}"
        )
    }

    /// Returns the code of a time.
    pub fn code_at(&self, time: DateTime<Utc>) -> String {
        self.0.generate(seconds(time))
    }

    /// Returns the step of a right code that is newer than `after`, of those that are valid now.
    fn step_of(&self, code: &str, after: u64, now: DateTime<Utc>) -> Option<u64> {
        let current = seconds(now) / STEP_S;
        let steps = current.saturating_sub(SKEW)..=current + SKEW;
        let right = |step: &u64| {
            let expected = self.0.generate(step * STEP_S);
            // Hashes, so that the time of the comparison says nothing about the code.
            hash_token(&expected) == hash_token(code)
        };
        steps.filter(|step| *step > after).find(right)
    }
}

fn seconds(time: DateTime<Utc>) -> u64 {
    time.timestamp().max(0) as u64
}

/// Returns new recovery codes, and their hashes, which alone are stored.
pub fn new_recovery_codes() -> Vec<(String, Vec<u8>)> {
    let code = |_| {
        let text = random_text(RECOVERY_LENGTH);
        let groups: Vec<_> = text
            .as_bytes()
            .chunks(4)
            .map(String::from_utf8_lossy)
            .collect();
        (groups.join("-"), hash_token(&text))
    };
    (0..RECOVERY_CODES).map(code).collect()
}

/// Uses a code of a person, in the caller's transaction: one of the app, or a recovery code. Returns
/// whether it was right and had not been used. A person without a second factor has no right code.
pub async fn use_code(
    keys: &SharedKeys,
    transaction: &mut sqlx::MySqlConnection,
    user_id: Uuid,
    code: &str,
    now: DateTime<Utc>,
) -> Result<bool, ApiError> {
    let Some(row) = store::lock_factor(transaction, user_id).await? else {
        return Ok(false);
    };
    if row.confirmed_at.is_none() {
        return Ok(false);
    }
    if try_step(keys, transaction, user_id, &row, code, now).await? {
        return Ok(true);
    }
    let written: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let hash = hash_token(&written.to_ascii_lowercase());
    Ok(store::use_recovery_code(transaction, user_id, &hash, now).await?)
}

/// Uses a code of the app, also of a factor that is not confirmed yet.
pub async fn try_step(
    keys: &SharedKeys,
    transaction: &mut sqlx::MySqlConnection,
    user_id: Uuid,
    row: &FactorRow,
    code: &str,
    now: DateTime<Utc>,
) -> Result<bool, ApiError> {
    let Some(secret) = Secret::of(keys, &row.key_id, row.id, now).await? else {
        tracing::error!(key.id = row.key_id, "the key of a second factor is gone");
        return Ok(false);
    };
    let code: String = code
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    let Some(step) = secret.step_of(&code, row.last_step, now) else {
        return Ok(false);
    };
    store::use_step(transaction, user_id, step).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the test vectors of RFC 6238, appendix B.
    fn secret() -> Secret {
        Secret::from_bytes(b"12345678901234567890".to_vec()).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // The last six of the eight digits of the standard's table.
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().code_at(at(time)), code);
        }
    }

    #[test]
    fn a_code_is_right_for_a_step_before_and_after_its_own_and_not_twice() {
        let code = secret().code_at(at(3_000));
        for (now, right) in [
            (2_969, false),
            (2_970, true),
            (3_000, true),
            (3_059, true),
            (3_060, false),
        ] {
            assert_eq!(
                secret().step_of(&code, 0, at(now)).is_some(),
                right,
                "{now}"
            );
        }
        let step = secret().step_of(&code, 0, at(3_000)).unwrap();
        assert_eq!(
            secret().step_of(&code, step, at(3_000)),
            None,
            "it was used"
        );
        assert_eq!(secret().step_of("", 0, at(3_000)), None);
    }

    #[test]
    fn an_app_reads_the_address() {
        assert_eq!(
            secret().uri("Bulk SMS", "ana@example.org"),
            "otpauth://totp/Bulk%20SMS:ana%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Bulk%20SMS\
             &algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn recovery_codes_differ_and_only_their_hashes_are_stored() {
        let codes = new_recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let distinct: std::collections::HashSet<_> = codes.iter().map(|(_, hash)| hash).collect();
        assert_eq!(distinct.len(), RECOVERY_CODES);
        assert!(codes.iter().all(|(text, _)| text.len() == 19));
    }
}

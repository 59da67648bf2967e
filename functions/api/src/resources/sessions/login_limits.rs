//! Which failed logins delay which further ones.
//!
//! Anybody can fail to log in with the name of somebody else. So failures count per name *and*
//! network, where they soon lock. By name alone, or by network alone, which an office shares, they
//! only slow logins down, and only after many. A device on which the user has logged in before has
//! a token that proves it, and a count of its own: nobody else can delay its logins.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use shared::{
    access::{
        is_username,
        users::{reset_failed_logins, user_subject},
    },
    platform::secret::hash_token,
};
use uuid::Uuid;

use crate::{
    App,
    auth::{
        Caller,
        limits::{LoginGuard, count_login_attempt},
    },
    http::{error::ApiError, problems},
    resources::sessions::devices::find_device,
};

/// After a few typing errors, delays that grow to a quarter of an hour: about a hundred guesses per
/// day.
const STRICT: LoginGuard = LoginGuard {
    free: 4,
    longest_from: 10,
    longest_s: 900,
};
/// A network, which many users may share: one guess in half a minute, at worst.
const OF_NETWORK: LoginGuard = LoginGuard {
    free: 40,
    longest_from: 45,
    longest_s: 30,
};
/// A name, from all networks together: the same.
const OF_NAME: LoginGuard = LoginGuard {
    free: 100,
    longest_from: 105,
    longest_s: 30,
};

/// The subjects by which the failures of a login are counted, and how a success changes the counts.
pub struct LoginSubjects(Vec<Subject>);

struct Subject {
    name: String,
    guard: LoginGuard,
    /// A right password resets the count. Otherwise it only takes back this attempt: else the owner
    /// of one account could try passwords of others without limit.
    is_reset: bool,
}

impl LoginSubjects {
    /// Returns the subjects of a login with a password. `device`: the token of a device, if the
    /// request has one.
    pub async fn of_login(
        app: &App,
        username: &str,
        caller: &Caller,
        device: Option<&str>,
    ) -> sqlx::Result<Self> {
        let subject = |name, guard, is_reset| Subject {
            name,
            guard,
            is_reset,
        };
        // Another text cannot be compared with the column.
        let device = device.filter(|_| is_username(username));
        if let Some(hash) = device.map(hash_token) {
            let mut connection = app.db.acquire().await?;
            if let Some(id) = find_device(&mut connection, &hash, username, app.db.now()).await? {
                return Ok(Self(vec![subject(format!("device:{id}"), STRICT, true)]));
            }
        }
        let network = network(&caller.origin.address);
        let user = user_subject(username);
        Ok(Self(vec![
            subject(format!("{user} network:{network}"), STRICT, true),
            subject(format!("network:{network}"), OF_NETWORK, false),
            subject(user, OF_NAME, false),
        ]))
    }

    /// Returns the subject of a change of one's own password, which needs a session.
    pub fn of_change(user_id: Uuid) -> Self {
        Self(vec![Subject {
            name: format!("password:{user_id}"),
            guard: STRICT,
            is_reset: true,
        }])
    }

    /// Returns the subject of codes of one's own second factor, which need a session and the password.
    pub fn of_code(user_id: Uuid) -> Self {
        Self(vec![Subject {
            name: format!("code:{user_id}"),
            guard: STRICT,
            is_reset: true,
        }])
    }

    /// Counts an attempt. Returns an error if the caller has to wait.
    pub async fn count_attempt(&self, app: &App) -> Result<(), ApiError> {
        let now = app.db.now();
        let mut connection = app.db.acquire().await?;
        for Subject { name, guard, .. } in &self.0 {
            if let Some(until) = count_login_attempt(&mut connection, name, *guard, now).await? {
                return Err(locked(until, now));
            }
        }
        Ok(())
    }

    /// Changes the counts after a right password.
    pub async fn reset_failed(&self, app: &App) -> Result<(), ApiError> {
        let now = app.db.now();
        let mut connection = app.db.acquire().await?;
        for Subject { name, is_reset, .. } in &self.0 {
            reset_failed_logins(&mut connection, name, *is_reset, now).await?;
        }
        Ok(())
    }
}

fn locked(until: DateTime<Utc>, now: DateTime<Utc>) -> ApiError {
    let wait_s = ((until - now).num_milliseconds().max(1) as u64).div_ceil(1000);
    let detail = format!("too many failed logins; try again in {wait_s} s");
    ApiError::TooMany {
        problem: &problems::LOGIN_LOCKED,
        detail,
        wait_s,
    }
}

/// Returns what one party has of an address: the first 64 bits of IPv6, which a provider assigns,
/// else all of it.
fn network(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_or_64_bits_of_one() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
            ("", ""),
        ] {
            assert_eq!(network(address), expected);
        }
    }
}

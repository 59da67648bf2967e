//! What an issuer's token says, once its signature is known to be right: from whom, for whom, when, who and with which role.

use serde_json::{Map, Value};

use crate::auth::issuer::config::{IssuerConfig, ROLES};
use crate::auth::tokens::Refused;

/// By how much, in seconds, the issuer's clock may differ from ours.
const LEEWAY: f64 = 30.0;

/// The most that `OpenID` Connect Core, section 2, allows.
const SUBJECT_BYTES: usize = 255;

/// Somebody whom the issuer knows, and we don't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outsider {
    /// As configured, without a slash at the end.
    pub issuer: String,
    /// The issuer's id of them, which it never gives to another.
    pub subject: String,
    /// For people to read: `preferred_username`, `email`, `username`, or the subject. It may change, and somebody else may have it.
    pub name: String,
    /// `viewer`, `operator` or `admin`: the highest of theirs, `None` where none of theirs is one of ours.
    pub role: Option<&'static str>,
}

type Claims = Map<String, Value>;

/// Reads it, `now` in seconds since 1970.
pub(super) fn outsider(
    claims: &Claims,
    config: &IssuerConfig,
    now: i64,
) -> Result<Outsider, Refused> {
    let issuer = text(claims, "iss").ok_or(Refused::Malformed)?;
    if !config.is_issuer(issuer) {
        return Err(Refused::WrongIssuer);
    }
    if !is_for(claims, &config.audience) {
        return Err(Refused::WrongAudience);
    }
    check_time(claims, now as f64)?;
    let subject = text(claims, "sub")
        .filter(|subject| subject.len() <= SUBJECT_BYTES)
        .ok_or(Refused::Malformed)?;
    let name = ["preferred_username", "email", "username"]
        .into_iter()
        .find_map(|claim| text(claims, claim));
    Ok(Outsider {
        issuer: config.issuer.clone(),
        subject: subject.to_owned(),
        name: name.unwrap_or(subject).to_owned(),
        role: role(claims, config),
    })
}

/// A claim that is a string, and not an empty one.
fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Cognito's access tokens have no `aud`; they say for which client they are instead.
fn is_for(claims: &Claims, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
        Some(_) => false,
        None => {
            text(claims, "token_use") == Some("access")
                && text(claims, "client_id") == Some(audience)
        }
    }
}

/// `exp` has to be there, `nbf` and `iat` may be; each is a number of seconds, and may have a fraction (RFC 7519, section 2).
fn check_time(claims: &Claims, now: f64) -> Result<(), Refused> {
    let seconds = |name: &str| {
        claims
            .get(name)
            .map(|value| value.as_f64().ok_or(Refused::Malformed))
            .transpose()
    };
    let expires = seconds("exp")?.ok_or(Refused::Malformed)?;
    let begins = [seconds("nbf")?, seconds("iat")?];
    if now >= expires + LEEWAY {
        return Err(Refused::Expired);
    }
    if begins
        .into_iter()
        .flatten()
        .any(|begin| begin > now + LEEWAY)
    {
        return Err(Refused::NotYetValid);
    }
    Ok(())
}

fn role(claims: &Claims, config: &IssuerConfig) -> Option<&'static str> {
    let theirs = match find(claims, &config.roles_claim)? {
        Value::Array(roles) => roles.iter().filter_map(Value::as_str).collect(),
        Value::String(role) => vec![role.as_str()],
        _ => Vec::new(),
    };
    let ours = theirs.into_iter().filter_map(|role| config.role(role));
    ours.max_by_key(|role| ROLES.iter().position(|known| known == role))
}

/// The claim of that very name, be there dots in it or not; else what the path leads to.
fn find<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        rest.split('.')
            .try_fold(claims.get(first)?, |value, name| value.get(name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn config(roles_claim: &str, roles: &[(&str, &'static str)]) -> IssuerConfig {
        let (issuer, audience) = ("https://login.example".to_owned(), "sms".to_owned());
        let roles = roles
            .iter()
            .map(|(theirs, ours)| ((*theirs).to_owned(), *ours))
            .collect();
        IssuerConfig {
            issuer,
            audience,
            roles_claim: roles_claim.to_owned(),
            roles,
        }
    }

    /// Claims that are right, but for these; null takes one away.
    fn read(changed: &Value, config: &IssuerConfig) -> Result<Outsider, Refused> {
        let mut claims =
            json!({"iss": "https://login.example", "aud": "sms", "sub": "u1", "exp": NOW + 60});
        let claims = claims.as_object_mut().unwrap();
        for (name, value) in changed.as_object().unwrap() {
            if value.is_null() {
                claims.remove(name)
            } else {
                claims.insert(name.clone(), value.clone())
            };
        }
        outsider(claims, config, NOW)
    }

    #[test]
    fn claims_are_taken_or_refused() {
        let table = [
            (json!({}), Ok(())),
            (json!({"iss": "https://login.example/"}), Ok(())),
            (
                json!({"iss": "https://other.example"}),
                Err(Refused::WrongIssuer),
            ),
            (json!({"iss": null}), Err(Refused::Malformed)),
            (
                json!({"iss": ["https://login.example"]}),
                Err(Refused::Malformed),
            ),
            (json!({"aud": ["other", "sms"]}), Ok(())),
            (json!({"aud": ["other", 1]}), Err(Refused::WrongAudience)),
            (json!({"aud": "sms2"}), Err(Refused::WrongAudience)),
            (json!({"aud": {"sms": true}}), Err(Refused::WrongAudience)),
            (json!({"aud": null}), Err(Refused::WrongAudience)),
            (
                json!({"aud": null, "client_id": "sms"}),
                Err(Refused::WrongAudience),
            ),
            (
                json!({"aud": null, "client_id": "sms", "token_use": "id"}),
                Err(Refused::WrongAudience),
            ),
            (
                json!({"aud": null, "client_id": "sms2", "token_use": "access"}),
                Err(Refused::WrongAudience),
            ),
            (
                json!({"aud": null, "client_id": "sms", "token_use": "access"}),
                Ok(()),
            ),
            (
                json!({"aud": "other", "client_id": "sms", "token_use": "access"}),
                Err(Refused::WrongAudience),
            ),
            (json!({"exp": null}), Err(Refused::Malformed)),
            (json!({"exp": "1800000060"}), Err(Refused::Malformed)),
            (json!({"exp": NOW - 29}), Ok(())),
            (json!({"exp": NOW as f64 - 29.5}), Ok(())),
            (json!({"exp": NOW - 30}), Err(Refused::Expired)),
            (json!({"exp": -1e300}), Err(Refused::Expired)),
            (json!({"nbf": NOW + 30, "iat": NOW + 30}), Ok(())),
            (json!({"nbf": NOW + 31}), Err(Refused::NotYetValid)),
            (json!({"iat": NOW + 31}), Err(Refused::NotYetValid)),
            (json!({"nbf": "0"}), Err(Refused::Malformed)),
            (json!({"sub": null}), Err(Refused::Malformed)),
            (json!({"sub": ""}), Err(Refused::Malformed)),
            (json!({"sub": "x".repeat(256)}), Err(Refused::Malformed)),
        ];
        for (changed, expected) in table {
            assert_eq!(
                read(&changed, &config("roles", &[])).map(drop),
                expected,
                "{changed}"
            );
        }
    }

    #[test]
    fn the_name_is_the_most_readable() {
        for (changed, expected) in [
            (
                json!({"preferred_username": "ana", "email": "a@x.example", "username": "b"}),
                "ana",
            ),
            (
                json!({"preferred_username": "", "email": "a@x.example", "username": "b"}),
                "a@x.example",
            ),
            (json!({"email": 1, "username": "b"}), "b"),
            (json!({}), "u1"),
        ] {
            assert_eq!(
                read(&changed, &config("roles", &[])).unwrap().name,
                expected,
                "{changed}"
            );
        }
    }

    #[test]
    fn the_highest_role_wins() {
        let none: &[(&str, &'static str)] = &[];
        let mapped: &[(&str, &'static str)] = &[
            ("boss", "admin"),
            ("staff", "operator"),
            ("guest", "viewer"),
        ];
        let namespaced = "https://x.example/roles";
        let table = [
            ("roles", none, json!({}), None),
            (
                "roles",
                none,
                json!({"roles": ["viewer", "operator"]}),
                Some("operator"),
            ),
            (
                "roles",
                none,
                json!({"roles": ["admin", "viewer", "else"]}),
                Some("admin"),
            ),
            ("roles", none, json!({"roles": "viewer"}), Some("viewer")),
            ("roles", none, json!({"roles": "not admin"}), None),
            (
                "roles",
                none,
                json!({"roles": ["Admin", 1, ["admin"]]}),
                None,
            ),
            ("roles", none, json!({"roles": {"admin": true}}), None),
            (
                "roles",
                mapped,
                json!({"roles": ["guest", "staff"]}),
                Some("operator"),
            ),
            (
                "roles",
                mapped,
                json!({"roles": ["boss", "guest"]}),
                Some("admin"),
            ),
            ("roles", mapped, json!({"roles": ["admin"]}), None),
            (
                "cognito:groups",
                mapped,
                json!({"cognito:groups": ["staff"]}),
                Some("operator"),
            ),
            (
                "realm_access.roles",
                none,
                json!({"realm_access": {"roles": ["offline_access", "operator"]}}),
                Some("operator"),
            ),
            (
                "resource_access.sms.roles",
                none,
                json!({"resource_access": {"sms": {"roles": ["viewer"]}}}),
                Some("viewer"),
            ),
            (
                "realm_access.roles",
                none,
                json!({"realm_access": ["admin"]}),
                None,
            ),
            (
                "realm_access.roles",
                none,
                json!({"realm_access.roles": "viewer", "realm_access": {"roles": "admin"}}),
                Some("viewer"),
            ),
            (
                namespaced,
                none,
                json!({"https://x.example/roles": ["admin"]}),
                Some("admin"),
            ),
        ];
        for (claim, roles, changed, expected) in table {
            assert_eq!(
                read(&changed, &config(claim, roles)).unwrap().role,
                expected,
                "{claim} {changed}"
            );
        }
    }
}

//! The claims of an issuer's token after its signature was verified: issuer, audience, time,
//! subject and role.

use serde_json::{Map, Value};

use crate::auth::issuer::config::{IssuerConfig, ROLES};
use crate::auth::tokens::Refused;

/// Seconds by which the issuer's clock may differ from the local one.
const LEEWAY: f64 = 30.0;

/// Bytes of a subject, at most (`OpenID` Connect Core, section 2).
const SUBJECT_BYTES: usize = 255;

/// A caller that the issuer has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outsider {
    /// The issuer as configured, without a trailing slash.
    pub issuer: String,
    /// The issuer's id of the caller; the issuer never reuses it.
    pub subject: String,
    /// The name for display: `preferred_username`, `email`, `username`, or the subject. It may
    /// change, and two callers may have the same.
    pub name: String,
    /// `viewer`, `operator` or `admin`: the highest role of the caller. `None` if no role of the
    /// caller corresponds to a role of this API.
    pub role: Option<&'static str>,
}

type Claims = Map<String, Value>;

/// Checks the claims and returns the caller; `now` is in seconds since 1970.
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

/// Returns a claim that is a non-empty string.
fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Returns whether the token is for this audience. The access tokens of Cognito have no `aud`; they
/// name the client instead.
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

/// Checks `exp`, which is required, and `nbf` and `iat`, which are optional. Each is a number of
/// seconds, possibly with a fraction (RFC 7519, section 2).
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

/// Returns the highest role of this API among the roles of the token.
fn role(claims: &Claims, config: &IssuerConfig) -> Option<&'static str> {
    let given: Vec<&str> = match find(claims, &config.roles_claim)? {
        Value::Array(roles) => roles.iter().filter_map(Value::as_str).collect(),
        Value::String(role) => vec![role.as_str()],
        _ => Vec::new(),
    };
    let known = given.into_iter().filter_map(|role| config.role(role));
    known.max_by_key(|role| ROLES.iter().position(|known| known == role))
}

/// Returns the claim with this exact name, which may contain dots; else the value at this path.
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
            .map(|(name, role)| ((*name).to_owned(), *role))
            .collect();
        IssuerConfig {
            issuer,
            audience,
            roles_claim: roles_claim.to_owned(),
            roles,
        }
    }

    /// Reads valid claims with these changes; null removes a claim.
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

    fn assert_results(table: impl IntoIterator<Item = (Value, Result<(), Refused>)>) {
        for (changed, expected) in table {
            let read = read(&changed, &config("roles", &[])).map(drop);
            assert_eq!(read, expected, "{changed}");
        }
    }

    #[test]
    fn only_tokens_of_the_issuer_are_accepted() {
        assert_results([
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
        ]);
    }

    #[test]
    fn only_tokens_for_the_audience_are_accepted() {
        for accepted in [
            json!({"aud": ["other", "sms"]}),
            json!({"aud": null, "client_id": "sms", "token_use": "access"}),
        ] {
            assert_results([(accepted, Ok(()))]);
        }
        for refused in [
            json!({"aud": ["other", 1]}),
            json!({"aud": "sms2"}),
            json!({"aud": {"sms": true}}),
            json!({"aud": null}),
            json!({"aud": null, "client_id": "sms"}),
            json!({"aud": null, "client_id": "sms", "token_use": "id"}),
            json!({"aud": null, "client_id": "sms2", "token_use": "access"}),
            json!({"aud": "other", "client_id": "sms", "token_use": "access"}),
        ] {
            assert_results([(refused, Err(Refused::WrongAudience))]);
        }
    }

    #[test]
    fn tokens_are_valid_in_their_time_with_a_leeway() {
        assert_results([
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
        ]);
    }

    #[test]
    fn the_subject_is_a_short_string() {
        assert_results([
            (json!({"sub": null}), Err(Refused::Malformed)),
            (json!({"sub": ""}), Err(Refused::Malformed)),
            (json!({"sub": "x".repeat(255)}), Ok(())),
            (json!({"sub": "x".repeat(256)}), Err(Refused::Malformed)),
        ]);
    }

    #[test]
    fn the_name_is_the_most_readable_claim() {
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

    fn assert_roles<'a>(
        claim: &str,
        roles: &[(&str, &'static str)],
        table: impl IntoIterator<Item = (Value, Option<&'a str>)>,
    ) {
        for (changed, expected) in table {
            let read = read(&changed, &config(claim, roles)).unwrap();
            assert_eq!(read.role, expected, "{claim} {changed}");
        }
    }

    #[test]
    fn the_highest_role_of_a_token_counts() {
        let table = [
            (json!({}), None),
            (json!({"roles": ["viewer", "operator"]}), Some("operator")),
            (json!({"roles": ["admin", "viewer", "else"]}), Some("admin")),
            (json!({"roles": "viewer"}), Some("viewer")),
            (json!({"roles": "not admin"}), None),
            (json!({"roles": ["Admin", 1, ["admin"]]}), None),
            (json!({"roles": {"admin": true}}), None),
        ];
        assert_roles("roles", &[], table);
    }

    #[test]
    fn roles_of_the_issuer_are_mapped_to_roles_of_the_api() {
        let mapped: &[(&str, &'static str)] = &[
            ("boss", "admin"),
            ("staff", "operator"),
            ("guest", "viewer"),
        ];
        let table = [
            (json!({"roles": ["guest", "staff"]}), Some("operator")),
            (json!({"roles": ["boss", "guest"]}), Some("admin")),
            (json!({"roles": ["admin"]}), None),
        ];
        assert_roles("roles", mapped, table);
        let groups = (json!({"cognito:groups": ["staff"]}), Some("operator"));
        assert_roles("cognito:groups", mapped, [groups]);
    }

    #[test]
    fn the_roles_are_found_by_name_or_by_path() {
        let path = "realm_access.roles";
        let table = [
            (
                json!({"realm_access": {"roles": ["offline_access", "operator"]}}),
                Some("operator"),
            ),
            (json!({"realm_access": ["admin"]}), None),
            (
                json!({"realm_access.roles": "viewer", "realm_access": {"roles": "admin"}}),
                Some("viewer"),
            ),
        ];
        assert_roles(path, &[], table);
        let deeper = json!({"resource_access": {"sms": {"roles": ["viewer"]}}});
        assert_roles("resource_access.sms.roles", &[], [(deeper, Some("viewer"))]);
        let url = "https://x.example/roles";
        let namespaced = json!({"https://x.example/roles": ["admin"]});
        assert_roles(url, &[], [(namespaced, Some("admin"))]);
    }
}

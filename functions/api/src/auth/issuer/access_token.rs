//! Whether a token of an issuer is an access token.
//!
//! An ID token is for the client: it names the person who has logged in. Its audience is the client's
//! id, which may also be the audience of this API. So the audience does not tell it from an access
//! token. RFC 9068 gives access tokens a type; issuers that are older than it have marks of their own.

use serde_json::{Map, Value};

use crate::auth::tokens::Refused;

/// The type of an access token in its header (RFC 9068, section 2.1).
const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// Claims that only ID tokens have (`OpenID` Connect Core, sections 2 and 3.3.2.11; `s_hash` is of
/// the Financial-grade API).
const OF_ID_TOKENS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];
/// Claims that only access tokens have: the scope of RFC 8693, and its name at Okta and Microsoft;
/// how the client proved itself, at Microsoft; the grant type, at Auth0.
const OF_ACCESS_TOKENS: [&str; 5] = ["scope", "scp", "azpacr", "appidacr", "gty"];

/// Refuses a token that is not recognised as an access token. `token_type`: the `typ` of its header.
pub(super) fn check(claims: &Map<String, Value>, token_type: Option<&str>) -> Result<(), Refused> {
    if is_access_token(claims, token_type) {
        Ok(())
    } else {
        Err(Refused::NotAccess)
    }
}

fn is_access_token(claims: &Map<String, Value>, token_type: Option<&str>) -> bool {
    let token_type = token_type.unwrap_or("jwt").to_ascii_lowercase();
    let token_type = token_type
        .strip_prefix("application/")
        .unwrap_or(&token_type);
    let says = |name: &str, expected: &str| {
        claims
            .get(name)
            .map(|value| value.as_str().is_some_and(|text| text == expected))
    };
    // Cognito and Keycloak name the type in a claim.
    let by_claim = says("token_use", "access").or_else(|| says("typ", "Bearer"));
    let has = |names: &[&str]| names.iter().any(|name| claims.contains_key(*name));
    match (token_type, by_claim) {
        (_, Some(false)) => false,
        (ACCESS_TOKEN_TYPE, _) | ("jwt", Some(true)) => true,
        ("jwt", None) => has(&OF_ACCESS_TOKENS) && !has(&OF_ID_TOKENS),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_access_tokens_are_recognised() {
        for (claims, token_type, expected) in [
            (json!({}), Some("at+jwt"), true),
            (json!({}), Some("application/at+JWT"), true),
            (json!({"token_use": "access"}), Some("JWT"), true),
            (json!({"typ": "Bearer"}), Some("JWT"), true),
            (json!({"scope": "sms"}), None, true),
            (json!({"scp": ["sms"]}), Some("JWT"), true),
            (json!({"azpacr": "1"}), Some("JWT"), true),
            (json!({}), None, false),
            (json!({}), Some("JWT"), false),
            (json!({"nonce": "n", "scope": "openid"}), Some("JWT"), false),
            (json!({"at_hash": "h", "azp": "sms"}), Some("JWT"), false),
            (json!({"token_use": "id"}), Some("JWT"), false),
            (json!({"token_use": "id"}), Some("at+jwt"), false),
            (json!({"typ": "ID", "scope": "openid"}), Some("JWT"), false),
            (json!({"typ": "Refresh"}), Some("JWT"), false),
            (json!({"scope": "sms"}), Some("logout+jwt"), false),
            (json!({"scope": "sms"}), Some("secevent+jwt"), false),
        ] {
            let map = claims.as_object().unwrap();
            let is = check(map, token_type).is_ok();
            assert_eq!(is, expected, "{claims} {token_type:?}");
        }
    }
}

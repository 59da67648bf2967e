//! The tokens of a session in cookies, for pages of this origin in a browser. Scripts cannot
//! read them, so that a script that was injected cannot carry a token away.
//!
//! Another site cannot use them: they are `SameSite=Strict`, limited to `/v1/auth`, and a call that
//! uses or sets them has JSON as its content type, which browsers send across origins only if this
//! API allows it. Origins of the same site are refused by [`require_same_origin`]. A refresh reveals
//! its access token in the answer only, and all other calls need that token as a header.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use secrecy::SecretString;

use crate::{
    http::{error::ApiError, problems},
    resources::sessions::{REFRESH_TOKEN, SECRET_LENGTH, Tokens, devices::KNOWN_FOR},
};

/// The cookie with the refresh token.
pub const REFRESH: &str = "sms_refresh";
/// The cookie with the device token.
pub const DEVICE: &str = "sms_device";

/// Fails with 403 if a browser says that the page which calls is of another origin. Clients that
/// are no browsers do not send the header; they have no cookies of others either.
pub fn require_same_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get("sec-fetch-site");
    if given.is_none_or(|site| site == "same-origin") {
        return Ok(());
    }
    let detail = "expected a call from a page of this origin; others use the tokens in the answer";
    Err(ApiError::Refused(&problems::FORBIDDEN, detail.to_owned()))
}

/// Returns the value of a cookie.
pub fn read(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let given = headers.get_all(header::COOKIE).iter();
    let value = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))?;
    SECRET_LENGTH
        .contains(&value.len())
        .then(|| SecretString::from(value))
}

/// Returns 200 with the tokens; the refresh token and the device token are in cookies instead of
/// the body.
pub fn answer(headers: &HeaderMap, mut tokens: Tokens) -> Response {
    let refresh = tokens.refresh_token.take();
    let device = tokens.device_token.take();
    let set = [
        refresh.map(|token| (REFRESH, token, REFRESH_TOKEN.num_seconds())),
        device.map(|token| (DEVICE, token, KNOWN_FOR.num_seconds())),
    ];
    let cookies: Vec<_> = set
        .into_iter()
        .flatten()
        .filter_map(|(name, token, age_s)| set_cookie(headers, name, &token, age_s))
        .map(|cookie| (header::SET_COOKIE, cookie))
        .collect();
    (AppendHeaders(cookies), Json(tokens)).into_response()
}

/// Returns the header that removes the cookie with the refresh token. The device stays known.
pub fn expire_refresh_cookie(
    headers: &HeaderMap,
) -> AppendHeaders<Option<(header::HeaderName, HeaderValue)>> {
    let is_set = read(headers, REFRESH).is_some();
    let expired = set_cookie(headers, REFRESH, "", 0).filter(|_| is_set);
    AppendHeaders(expired.map(|cookie| (header::SET_COOKIE, cookie)))
}

/// Browsers do not send `Secure` cookies by http, which only a stack on the same machine speaks.
fn set_cookie(headers: &HeaderMap, name: &str, value: &str, age_s: i64) -> Option<HeaderValue> {
    let secure = if is_loopback(headers) { "" } else { "; Secure" };
    let cookie = format!(
        "{name}={value}; Path=/v1/auth; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"
    );
    let mut cookie = HeaderValue::try_from(cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

/// Whether the request was sent to this machine. A page cannot choose the header.
fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    name.is_some_and(|name| ["localhost", "127.0.0.1", "[::1]"].contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            header::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_cookie_is_secure_except_on_this_machine() {
        for (host, secure) in [
            ("localhost:80", false),
            ("127.0.0.1:8480", false),
            ("[::1]:80", false),
            ("localhost.example.com", true),
            ("api.example.com", true),
            ("127.0.0.1.example.com:443", true),
        ] {
            let cookie = set_cookie(&headers("host", host), "a", "b", 7).unwrap();
            let cookie = cookie.to_str().unwrap();
            let plain = "a=b; Path=/v1/auth; Max-Age=7; HttpOnly; SameSite=Strict";
            let expected = if secure {
                format!("{plain}; Secure")
            } else {
                plain.to_owned()
            };
            assert_eq!(cookie, expected, "{host}");
        }
        assert!(
            set_cookie(&HeaderMap::new(), "a", "b", 7)
                .unwrap()
                .to_str()
                .unwrap()
                .ends_with("; Secure")
        );
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        for (site, allowed) in [
            ("same-origin", true),
            ("same-site", false),
            ("cross-site", false),
            ("none", false),
        ] {
            let result = require_same_origin(&headers("sec-fetch-site", site));
            assert_eq!(result.is_ok(), allowed, "{site}");
        }
    }
}

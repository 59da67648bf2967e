//! The URL that requests are forwarded to.

use std::str::FromStr;

use anyhow::{Context, bail};
use axum::http::uri::{Authority, PathAndQuery, Uri};
use axum::http::{HeaderValue, uri};

/// An `http` URL, parsed from a string such as
/// `http://127.0.0.1:45660/_aws/execute-api/ID/%24default`.
#[derive(Debug, Clone)]
pub struct Target {
    authority: Authority,
    // Without the trailing slash; empty for a URL without a path. Its percent-encoding is kept.
    path: String,
    host: HeaderValue,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        let uri::Parts {
            scheme,
            authority,
            path_and_query,
            ..
        } = uri.into_parts();
        let (Some("http"), Some(authority)) = (scheme.as_ref().map(uri::Scheme::as_str), authority)
        else {
            bail!("{url} is not an http URL");
        };
        let path = path_and_query
            .as_ref()
            .map_or("", PathAndQuery::path)
            .trim_end_matches('/')
            .to_owned();
        if path_and_query.is_some_and(|path_and_query| path_and_query.query().is_some()) {
            bail!("{url} must not have a query");
        }
        let host = HeaderValue::from_str(authority.as_str())?;
        Ok(Self {
            authority,
            path,
            host,
        })
    }
}

impl Target {
    /// Returns the host and port to connect to.
    pub(crate) fn address(&self) -> (&str, u16) {
        (
            self.authority.host().trim_matches(['[', ']']),
            self.authority.port_u16().unwrap_or(80),
        )
    }

    /// Returns the value of the `Host` header.
    pub(crate) fn host(&self) -> HeaderValue {
        self.host.clone()
    }

    /// Returns the target's path followed by the request's path and query, byte for byte.
    pub(crate) fn uri(&self, requested: &Uri) -> Result<Uri, axum::http::uri::InvalidUri> {
        format!(
            "{}{}",
            self.path,
            requested.path_and_query().map_or("/", PathAndQuery::as_str)
        )
        .parse()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn joined_paths_keep_their_percent_encoding() {
        let table = [
            (
                "http://h:1/_aws/ID/%24default",
                "/a%2Fb?c=%20+d",
                "/_aws/ID/%24default/a%2Fb?c=%20+d",
            ),
            ("http://h:1/base/", "/", "/base/"),
            ("http://h:1", "/../x", "/../x"),
            ("http://h:1/", "/?", "/?"),
        ];
        for (target, requested, forwarded) in table {
            let target: Target = target.parse().unwrap();
            assert_eq!(
                target.uri(&requested.parse().unwrap()).unwrap().to_string(),
                forwarded
            );
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (url, address) in [
            ("http://localhost:81/x", ("localhost", 81)),
            ("http://[::1]", ("::1", 80)),
        ] {
            assert_eq!(url.parse::<Target>().unwrap().address(), address);
        }
    }

    #[test]
    fn unsupported_urls_are_rejected() {
        for url in [
            "",
            "/path",
            "localhost:80",
            "https://localhost",
            "http://localhost/?a=b",
        ] {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }
}

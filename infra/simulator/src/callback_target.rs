//! The address to which receipts are pushed. It must be a loopback address, so that a wrong setting
//! cannot send test data to another machine.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

/// A loopback address with the URL that names it.
#[derive(Clone, Debug)]
pub(crate) struct CallbackTarget {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) url: Url,
}

impl CallbackTarget {
    /// Parses an `http` URL. Returns `None` unless its host is a loopback address or `localhost`.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
        let ip = match url.host()? {
            Host::Ipv4(ip) => IpAddr::V4(ip),
            Host::Ipv6(ip) => IpAddr::V6(ip),
            Host::Domain(name) => IpAddr::V4((name == "localhost").then_some(Ipv4Addr::LOCALHOST)?),
        };
        let port = url.port_or_known_default()?;
        ip.is_loopback().then_some(Self { ip, port, url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_http_urls_are_accepted() {
        for good in [
            "http://127.0.0.1:8480/v1/x",
            "http://localhost/x",
            "http://[::1]:9/",
            "http://127.1.2.3:1/",
        ] {
            assert!(CallbackTarget::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1",
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://example.com/",
            "http://localhost.example.com/",
            "file:///x",
        ] {
            assert!(CallbackTarget::parse(bad).is_none(), "{bad}");
        }
    }
}

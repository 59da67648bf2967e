//! The URLs to which webhooks may be posted.
//!
//! A user chooses the URL, and our functions run inside a private network. So an address is checked
//! after the name was resolved, just before the connection to that same address, and redirects are
//! not followed.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use url::{Host, Url};

use crate::platform::{config::Env, secret::hash_token};

/// The longest URL, the width of `webhooks.url`.
pub const LONGEST_URL: usize = 2048;

/// The allowed targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedTargets {
    /// Public addresses only, by https.
    Public,
    /// Only this machine, also by http: for the local stack and for tests.
    Loopback,
}

impl AllowedTargets {
    /// Reads `WEBHOOK_LOOPBACK`: `true` allows only receivers on this machine, as in the local
    /// stack. The default is `false`.
    pub fn from_env(env: &mut Env) -> Self {
        if env.flag("WEBHOOK_LOOPBACK") {
            Self::Loopback
        } else {
            Self::Public
        }
    }
}

/// Why a URL is not allowed as a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTarget {
    /// Not an absolute URL, or too long.
    NotAUrl,
    /// Neither https nor, if allowed, http.
    Scheme,
    /// The URL contains a user name or password, which the database would store in plain text.
    Login,
    /// A private address, or one for special use.
    Private,
    /// Another machine, although only this one is allowed.
    Elsewhere,
}

impl BadTarget {
    /// Returns a stable code for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAUrl => "not-a-url",
            Self::Scheme => "not-https",
            Self::Login => "login-in-url",
            Self::Private => "private-address",
            Self::Elsewhere => "not-this-machine",
        }
    }
}

impl fmt::Display for BadTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotAUrl => "expected an absolute URL of at most 2048 characters, such as https://example.com/sms-events",
            Self::Scheme => "expected a URL that begins with https://",
            Self::Login => "expected a URL without a user name or password; requests are signed instead",
            Self::Private => "expected a public address; this one is private, or for special use",
            Self::Elsewhere => "expected an address of this machine, because this is a local stack",
        })
    }
}

/// Parses a URL, and checks what can be checked without resolving its name.
pub fn read(given: &str, targets: AllowedTargets) -> Result<Url, BadTarget> {
    let url = Url::parse(given).map_err(|_| BadTarget::NotAUrl)?;
    let Some(host) = url.host() else {
        return Err(BadTarget::NotAUrl);
    };
    if url.as_str().len() > LONGEST_URL {
        return Err(BadTarget::NotAUrl);
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && targets == AllowedTargets::Loopback) {
        return Err(BadTarget::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadTarget::Login);
    }
    let allowed = match host {
        Host::Ipv4(address) => allows(address.into(), targets),
        Host::Ipv6(address) => allows(address.into(), targets),
        Host::Domain(name) if targets == AllowedTargets::Loopback => is_within(name, "localhost"),
        Host::Domain(name) => !is_local_name(name),
    };
    match targets {
        _ if allowed => Ok(url),
        AllowedTargets::Public => Err(BadTarget::Private),
        AllowedTargets::Loopback => Err(BadTarget::Elsewhere),
    }
}

/// Returns the scheme and the host of a URL, and four bytes of the hash of all of it, by which a
/// change is seen. The path and the query of a webhook often contain a secret.
pub fn without_secrets(url: &str) -> String {
    let host = Url::parse(url).map(|url| url.origin().ascii_serialization());
    let hash = hash_token(url);
    let [a, b, c, d, ..] = hash[..] else {
        return String::new();
    };
    format!(
        "{}/… (SHA-256 {a:02x}{b:02x}{c:02x}{d:02x}…)",
        host.unwrap_or_default()
    )
}

/// Whether a connection to this address is allowed.
pub fn allows(address: IpAddr, targets: AllowedTargets) -> bool {
    match (targets, address) {
        (AllowedTargets::Loopback, address) => address.to_canonical().is_loopback(),
        (AllowedTargets::Public, IpAddr::V4(address)) => is_public_v4(address),
        (AllowedTargets::Public, IpAddr::V6(address)) => is_public_v6(address),
    }
}

/// Whether a name is only resolved inside a network (RFC 6761, RFC 6762, RFC 8375), or has no dot.
fn is_local_name(name: &str) -> bool {
    let no_dot = !name.trim_end_matches('.').contains('.');
    no_dot
        || ["localhost", "local", "internal", "home.arpa"]
            .into_iter()
            .any(|zone| is_within(name, zone))
}

fn is_within(name: &str, zone: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == zone
        || name
            .strip_suffix(zone)
            .is_some_and(|front| front.ends_with('.'))
}

/// Whether an address is outside IANA's registry of addresses for special use (RFC 6890 and later
/// additions).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

/// Whether an address is global unicast (`2000::/3`), and neither contains an IPv4 address nor is
/// for documentation.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let special = match first {
        0x2001 => second < 0x200 || second == 0x0db8,
        0x2002 | 0x3ff0..=0x3fff => true,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_allowed() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("93.184.215.14", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("169.254.170.2", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("0.0.0.0", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("::1", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("::7f00:1", false),
            ("64:ff9b::7f00:1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("2001:db8::1", false),
            ("2001::1", false),
            ("2002:7f00:1::", false),
            ("3fff::1", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(allows(address, AllowedTargets::Public), public, "{address}");
            let here = ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(|here| here.parse().unwrap());
            assert_eq!(
                allows(address, AllowedTargets::Loopback),
                here.contains(&address),
                "{address}"
            );
        }
    }

    fn assert_errors(targets: AllowedTargets, table: &[(&str, Option<BadTarget>)]) {
        for (given, expected) in table {
            assert_eq!(read(given, targets).err(), *expected, "{given}");
        }
    }

    #[test]
    fn a_url_that_is_not_public_https_is_refused_with_a_reason() {
        use BadTarget::{Login, NotAUrl, Private, Scheme};
        let long = format!("https://example.com/{}", "a".repeat(LONGEST_URL));
        let table = [
            ("https://example.com/hook?x=1", None),
            ("https://example.com:8443/hook", None),
            ("https://8.8.8.8/", None),
            ("example.com", Some(NotAUrl)),
            ("", Some(NotAUrl)),
            ("https://", Some(NotAUrl)),
            (&long, Some(NotAUrl)),
            ("data:text/plain,x", Some(NotAUrl)),
            ("http://example.com", Some(Scheme)),
            ("ftp://example.com", Some(Scheme)),
            ("https://user:secret@example.com", Some(Login)),
            ("https://localhost/hook", Some(Private)),
            ("https://api.localhost./", Some(Private)),
            ("https://database.internal", Some(Private)),
            ("https://printer.local", Some(Private)),
            ("https://intranet/", Some(Private)),
            ("https://127.0.0.1", Some(Private)),
            ("https://2130706433/", Some(Private)),
            ("https://0x7f.1/", Some(Private)),
            ("https://[::1]:443/", Some(Private)),
            ("https://[::ffff:10.0.0.1]/", Some(Private)),
            ("https://169.254.169.254/latest/meta-data", Some(Private)),
        ];
        assert_errors(AllowedTargets::Public, &table);
    }

    #[test]
    fn a_local_stack_allows_only_urls_of_this_machine() {
        use BadTarget::{Elsewhere, Scheme};
        let table = [
            ("http://127.0.0.1:9/hook", None),
            ("https://localhost/hook", None),
            ("http://[::1]/", None),
            ("https://example.com/hook", Some(Elsewhere)),
            ("https://8.8.8.8/", Some(Elsewhere)),
            ("http://10.0.0.1/", Some(Elsewhere)),
            ("http://intranet/", Some(Elsewhere)),
            ("ftp://127.0.0.1", Some(Scheme)),
        ];
        assert_errors(AllowedTargets::Loopback, &table);
    }

    #[test]
    fn neither_path_nor_query_of_a_url_is_recorded() {
        let urls = [
            "https://example.com/hook/hunter2",
            "https://example.com/hook?token=hunter2",
            "https://example.com/#hunter2",
            "https://ana:hunter2@example.com/",
        ];
        let shown = urls.map(without_secrets);
        for (at, shown) in shown.iter().enumerate() {
            assert!(
                shown.starts_with("https://example.com/… (SHA-256 "),
                "{shown}"
            );
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(
                shown,
                &without_secrets(urls[at]),
                "the same for the same URL"
            );
        }
        assert_ne!(shown[0], shown[1], "a change is seen");
    }
}

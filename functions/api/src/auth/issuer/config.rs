//! The configuration of the outside issuer, and the mapping of its roles to the roles of this API.

use shared::platform::config::Env;
use url::{Host, Url};

/// The roles of this API by name, the lowest first.
pub(super) const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

const ISSUER: &str = "OIDC_ISSUER";
const AUDIENCE: &str = "OIDC_AUDIENCE";
const ROLE_NAMES: &str = "OIDC_ROLES";

/// The issuer, and the claims that its tokens must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Its address without a trailing slash, such as
    /// `https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x`.
    pub issuer: String,
    /// The audience of its tokens.
    pub audience: String,
    /// The claim that contains the roles, or the path to it, such as `realm_access.roles`.
    pub roles_claim: String,
    /// The issuer's roles with the corresponding roles of this API. Empty: the names are the same.
    pub roles: Vec<(String, &'static str)>,
}

impl IssuerConfig {
    /// Reads `OIDC_ISSUER`, `OIDC_AUDIENCE`, `OIDC_ROLES_CLAIM` and `OIDC_ROLES`. Returns `None` if
    /// no issuer is configured.
    pub fn read(env: &mut Env) -> Option<Self> {
        let (issuer, audience) = match (
            env.optional(ISSUER, "the URL of an OpenID provider"),
            env.optional(AUDIENCE, "the audience of its tokens"),
        ) {
            (None, None) => return None,
            (Some(_), None) => {
                return env.report(
                    AUDIENCE,
                    format!("is missing; expected it together with {ISSUER}"),
                );
            }
            (None, Some(_)) => {
                return env.report(
                    ISSUER,
                    format!("is missing; expected it together with {AUDIENCE}"),
                );
            }
            (Some(issuer), Some(audience)) => {
                (issuer.trim().to_owned(), audience.trim().to_owned())
            }
        };
        let roles_claim = env.text_or("OIDC_ROLES_CLAIM", "the claim with the roles", "roles");
        let roles_claim = roles_claim.trim().to_owned();
        let roles = roles(env);
        if !Url::parse(&issuer).is_ok_and(|url| {
            is_fetchable(&url) && url.query().is_none() && url.fragment().is_none()
        }) {
            return env.report(
                ISSUER,
                format!("is `{issuer}`; expected an https URL, or http on this host"),
            );
        }
        Some(Self {
            issuer: without_slash(&issuer).to_owned(),
            audience,
            roles_claim,
            roles,
        })
    }

    /// Returns whether a token names this issuer. Auth0 writes a trailing slash, others do not, and
    /// both notations are configured.
    pub(super) fn is_issuer(&self, issuer: &str) -> bool {
        without_slash(issuer) == without_slash(&self.issuer)
    }

    /// Returns the role of this API for a role of the issuer.
    pub(super) fn role(&self, given: &str) -> Option<&'static str> {
        if self.roles.is_empty() {
            return known(given);
        }
        self.roles
            .iter()
            .find(|(name, _)| name == given)
            .map(|(_, role)| *role)
    }
}

pub(super) fn without_slash(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

/// Returns whether keys may be fetched from this address: over TLS, or from this host.
pub(super) fn is_fetchable(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let has_account = !url.username().is_empty() || url.password().is_some();
    !has_account && (url.scheme() == "https" || url.scheme() == "http" && is_loopback)
}

fn known(role: &str) -> Option<&'static str> {
    ROLES.into_iter().find(|known| *known == role)
}

/// Reads pairs of roles: `staff=operator,boss=admin`.
fn roles(env: &mut Env) -> Vec<(String, &'static str)> {
    let Some(given) = env.optional(
        ROLE_NAMES,
        "names of roles, such as staff=operator,boss=admin",
    ) else {
        return Vec::new();
    };
    let read = |pair: &str| {
        // A name of the issuer may contain a `=`, the names of this API do not.
        let (name, role) = pair.rsplit_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some((name.to_owned(), known(role.trim())?))
    };
    let roles: Option<Vec<_>> = given.split(',').map(read).collect();
    let is_twice = |roles: &[(String, _)]| {
        (1..roles.len()).any(|i| roles[..i].iter().any(|(name, _)| *name == roles[i].0))
    };
    match roles {
        Some(roles) if !is_twice(&roles) => roles,
        Some(_) => env
            .report(
                ROLE_NAMES,
                format!("is `{given}`; expected each name of the issuer once"),
            )
            .unwrap_or_default(),
        None => {
            let expected = format!(
                "names of the issuer and of this API ({}), such as staff=operator,boss=admin",
                ROLES.join(", ")
            );
            env.report(ROLE_NAMES, format!("is `{given}`; expected {expected}"))
                .unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> anyhow::Result<Option<IssuerConfig>> {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let config = IssuerConfig::read(&mut env);
        env.finish(config)
    }

    #[test]
    fn an_issuer_is_read_with_its_roles() {
        assert_eq!(
            read(&[("OIDC_ISSUER", " "), ("OIDC_ROLES_CLAIM", "groups")]).unwrap(),
            None
        );
        let least = read(&[(ISSUER, "https://login.example/"), (AUDIENCE, "sms")])
            .unwrap()
            .unwrap();
        assert_eq!(
            (least.issuer.as_str(), least.audience.as_str()),
            ("https://login.example", "sms")
        );
        assert_eq!(
            (
                least.roles_claim.as_str(),
                least.role("admin"),
                least.role("boss")
            ),
            ("roles", Some("admin"), None)
        );
        let roles = "boss=admin, cn=staff=operator";
        let more = read(&[
            (ISSUER, "https://x.example/realms/a"),
            (AUDIENCE, "sms"),
            ("OIDC_ROLES", roles),
        ])
        .unwrap()
        .unwrap();
        for (given, role) in [
            ("boss", Some("admin")),
            ("cn=staff", Some("operator")),
            ("admin", None),
            ("Boss", None),
            ("", None),
        ] {
            assert_eq!(more.role(given), role, "{given}");
        }
        assert!(
            more.is_issuer("https://x.example/realms/a/")
                && !more.is_issuer("https://x.example/realms/a//")
        );
        assert!(!more.is_issuer("https://x.example/realms/A"));
    }

    #[test]
    fn each_wrong_variable_is_named() {
        let with_roles = |roles| {
            vec![
                (ISSUER, "https://x.example"),
                (AUDIENCE, "a"),
                (ROLE_NAMES, roles),
            ]
        };
        for (pairs, expected) in [
            (
                vec![(ISSUER, "https://x.example")],
                "OIDC_AUDIENCE is missing",
            ),
            (vec![(AUDIENCE, "sms")], "OIDC_ISSUER is missing"),
            (with_roles("boss"), "OIDC_ROLES is `boss`"),
            (with_roles("boss=owner"), "viewer, operator, admin"),
            (with_roles("a=admin,"), "OIDC_ROLES is"),
            (
                with_roles("a=admin,a=viewer"),
                "each name of the issuer once",
            ),
        ] {
            let error = read(&pairs).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_issuer_is_an_https_url_or_on_this_host() {
        for (issuer, valid) in [
            ("https://x.example", true),
            ("http://127.0.0.1:9000/realms/a", true),
            ("http://localhost:9000", true),
            ("http://[::1]:9000", true),
            ("http://x.example", false),
            ("http://localhost.x.example", false),
            ("https://user:pass@x.example", false),
            ("https://x.example/?a", false),
            ("ftp://localhost", false),
            ("x.example", false),
        ] {
            assert_eq!(
                read(&[(ISSUER, issuer), (AUDIENCE, "a")]).is_ok(),
                valid,
                "{issuer}"
            );
        }
    }
}

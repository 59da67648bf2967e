//! Which issuer's tokens are taken, and which of its roles are ours.

use shared::platform::config::Env;
use url::{Host, Url};

/// Our roles by name, the lowest first.
pub(super) const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

const ISSUER: &str = "OIDC_ISSUER";
const AUDIENCE: &str = "OIDC_AUDIENCE";
const ROLE_NAMES: &str = "OIDC_ROLES";

/// One issuer, and what its tokens have to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Its address without a slash at the end, such as `https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_x`.
    pub issuer: String,
    /// For whom tokens have to be.
    pub audience: String,
    /// The claim that holds the roles, or the path to it, such as `realm_access.roles`.
    pub roles_claim: String,
    /// Their roles and which of ours each is. Empty: their names are ours.
    pub roles: Vec<(String, &'static str)>,
}

impl IssuerConfig {
    /// Reads `OIDC_ISSUER`, `OIDC_AUDIENCE`, `OIDC_ROLES_CLAIM` and `OIDC_ROLES`; `None` where there is no issuer.
    pub fn read(env: &mut Env) -> Option<Self> {
        let (issuer, audience) = match (env.optional(ISSUER), env.optional(AUDIENCE)) {
            (None, None) => return None,
            (Some(_), None) => {
                return env.complain(AUDIENCE, format!("is missing; expected it beside {ISSUER}"));
            }
            (None, Some(_)) => {
                return env.complain(ISSUER, format!("is missing; expected it beside {AUDIENCE}"));
            }
            (Some(issuer), Some(audience)) => {
                (issuer.trim().to_owned(), audience.trim().to_owned())
            }
        };
        let roles_claim = env
            .optional("OIDC_ROLES_CLAIM")
            .map_or_else(|| "roles".to_owned(), |claim| claim.trim().to_owned());
        let roles = roles(env);
        if !Url::parse(&issuer).is_ok_and(|url| {
            is_fetchable(&url) && url.query().is_none() && url.fragment().is_none()
        }) {
            return env.complain(
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

    /// Whether that is this issuer. Auth0 writes a slash at the end, others don't, and people copy either.
    pub(super) fn is_issuer(&self, issuer: &str) -> bool {
        without_slash(issuer) == without_slash(&self.issuer)
    }

    /// Our role for one of theirs.
    pub(super) fn role(&self, theirs: &str) -> Option<&'static str> {
        if self.roles.is_empty() {
            return known(theirs);
        }
        self.roles
            .iter()
            .find(|(name, _)| name == theirs)
            .map(|(_, ours)| *ours)
    }
}

pub(super) fn without_slash(issuer: &str) -> &str {
    issuer.strip_suffix('/').unwrap_or(issuer)
}

/// Whether keys may be had from there: over TLS, or without leaving this host.
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
    ROLES.into_iter().find(|ours| *ours == role)
}

/// `theirs=admin,theirs2=operator`.
fn roles(env: &mut Env) -> Vec<(String, &'static str)> {
    let Some(given) = env.optional(ROLE_NAMES) else {
        return Vec::new();
    };
    let read = |pair: &str| {
        // Theirs may hold a `=`, ours don't.
        let (theirs, ours) = pair.rsplit_once('=')?;
        let theirs = theirs.trim();
        (!theirs.is_empty()).then_some((theirs.to_owned(), known(ours.trim())?))
    };
    let roles: Option<Vec<_>> = given.split(',').map(read).collect();
    let is_twice = |roles: &[(String, _)]| {
        (1..roles.len()).any(|i| roles[..i].iter().any(|(name, _)| *name == roles[i].0))
    };
    match roles {
        Some(roles) if !is_twice(&roles) => roles,
        Some(_) => env
            .complain(
                ROLE_NAMES,
                format!("is `{given}`; expected each of their names once"),
            )
            .unwrap_or_default(),
        None => {
            let expected = format!(
                "their names and ours ({}), such as staff=operator,boss=admin",
                ROLES.join(", ")
            );
            env.complain(ROLE_NAMES, format!("is `{given}`; expected {expected}"))
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
        for (theirs, ours) in [
            ("boss", Some("admin")),
            ("cn=staff", Some("operator")),
            ("admin", None),
            ("Boss", None),
            ("", None),
        ] {
            assert_eq!(more.role(theirs), ours, "{theirs}");
        }
        assert!(
            more.is_issuer("https://x.example/realms/a/")
                && !more.is_issuer("https://x.example/realms/a//")
        );
        assert!(!more.is_issuer("https://x.example/realms/A"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, expected) in [
            (
                vec![(ISSUER, "https://x.example")],
                "OIDC_AUDIENCE is missing",
            ),
            (vec![(AUDIENCE, "sms")], "OIDC_ISSUER is missing"),
            (
                vec![
                    (ISSUER, "https://x.example"),
                    (AUDIENCE, "a"),
                    (ROLE_NAMES, "boss"),
                ],
                "OIDC_ROLES is `boss`",
            ),
            (
                vec![
                    (ISSUER, "https://x.example"),
                    (AUDIENCE, "a"),
                    (ROLE_NAMES, "boss=owner"),
                ],
                "viewer, operator, admin",
            ),
            (
                vec![
                    (ISSUER, "https://x.example"),
                    (AUDIENCE, "a"),
                    (ROLE_NAMES, "a=admin,"),
                ],
                "OIDC_ROLES is",
            ),
            (
                vec![
                    (ISSUER, "https://x.example"),
                    (AUDIENCE, "a"),
                    (ROLE_NAMES, "a=admin,a=viewer"),
                ],
                "each of their names once",
            ),
        ] {
            let error = read(&pairs).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for (issuer, is_right) in [
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
                is_right,
                "{issuer}"
            );
        }
    }
}

//! The guard of each route: authenticates the caller (401), counts the request (429) and checks
//! the permission (403), then runs the handler.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use shared::{
    access::Role,
    platform::{db::Db, logs::context::name_schedule, secret::hash_token},
};
use uuid::Uuid;

use crate::{
    auth::{
        Caller, Gate, Identity,
        access::Access,
        addresses,
        limits::{Rate, RateState, count_request},
        store::{find_api_key, session_user},
        tokens::Refused,
    },
    http::{
        error::ApiError,
        origin::{Actor, LogFields, Origin},
        problems,
    },
};

/// The prefix of each API key.
pub const KEY_PREFIX: &str = "sms_";
/// Bytes of a token, at most. Tokens of issuers with many claims have a few thousand.
const LONGEST_TOKEN: usize = 8 * 1024;

/// The state of the guard of one route.
#[derive(Clone)]
pub struct RouteGuard {
    /// The database.
    pub db: Db,
    /// The keys and limits of authentication.
    pub gate: Gate,
    /// The access rule of the route.
    pub access: Access,
    /// The path of the route, for the log.
    pub path: &'static str,
}

/// Runs the handler if the caller may call the route.
pub async fn guard(State(guard): State<RouteGuard>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(schedule_id) = guard.schedule_of(parts.uri.path()) {
        name_schedule(schedule_id);
    }
    let (actor, mut response) = match guard.identify(&parts).await {
        Ok((caller, rate_state)) => {
            let request = Request::from_parts(parts, body);
            let actor = caller.actor();
            let response = guard.authorize(request, caller, rate_state, next).await;
            (actor, response)
        }
        Err(error) => ("nobody".to_owned(), error.into_response()),
    };
    let route = guard.path;
    response.extensions_mut().insert(LogFields { route, actor });
    response
}

impl RouteGuard {
    /// Returns the schedule that a path names, if the route is about one.
    fn schedule_of(&self, path: &str) -> Option<Uuid> {
        self.path.strip_prefix("/v1/schedules/{id}")?;
        path.split('/').nth(3)?.parse().ok()
    }

    /// Authenticates the caller and counts the request; returns the caller and the state of its
    /// rate.
    async fn identify(&self, request: &Parts) -> Result<(Caller, Option<RateState>), ApiError> {
        let origin = request.extensions.get::<Origin>();
        let origin = origin.cloned().unwrap_or_default();
        let caller = match self.access {
            Access::Public | Access::Signed => Caller::anonymous(origin),
            _ => self.authenticate(&request.headers, origin).await?,
        };
        if !self.access.is_counted(&request.method) {
            return Ok((caller, None));
        }
        let rate_state = count_request(
            &mut *self.db.acquire().await?,
            &caller.rate_key(),
            self.gate.rate(),
            self.db.now(),
        )
        .await?;
        Ok((caller, Some(rate_state)))
    }

    /// Runs the handler if the rate and the permission allow it. The rate is checked first, so
    /// that a caller cannot try routes without limit.
    async fn authorize(
        &self,
        mut request: Request,
        caller: Caller,
        rate_state: Option<RateState>,
        next: Next,
    ) -> Response {
        let rate = self.gate.rate();
        let exceeded = rate_state.filter(|state| !state.allowed);
        let mut response = match exceeded {
            Some(state) => rate_limited(rate, state).into_response(),
            None => match check_access(&caller, self.access) {
                Ok(()) => {
                    request.extensions_mut().insert(Actor(caller.actor()));
                    request.extensions_mut().insert(caller);
                    next.run(request).await
                }
                Err(error) => error.into_response(),
            },
        };
        if let Some(state) = rate_state {
            response.headers_mut().extend(rate_headers(rate, state));
        }
        response
    }

    async fn authenticate(&self, headers: &HeaderMap, origin: Origin) -> Result<Caller, ApiError> {
        let token = bearer(headers)?;
        if token.starts_with(KEY_PREFIX) {
            return self.authenticate_key(token, origin).await;
        }
        let issuer = self.gate.issuer.as_ref();
        let Some(issuer) = issuer.filter(|issuer| issuer.owns(token)) else {
            return self.authenticate_session(token, origin).await;
        };
        let outsider = issuer.verify(token, self.db.now()).await.map_err(refused)?;
        let role = outsider.role.and_then(Role::parse);
        let permissions = role
            .map(|role| role.permissions().to_vec())
            .unwrap_or_default();
        let identity = Identity::Outsider {
            issuer: outsider.issuer,
            subject: outsider.subject,
        };
        Ok(Caller {
            identity,
            name: outsider.name,
            role,
            permissions,
            origin,
            attempt: None,
        })
    }

    async fn authenticate_key(&self, token: &str, origin: Origin) -> Result<Caller, ApiError> {
        let hash = hash_token(token);
        let found = find_api_key(&mut *self.db.acquire().await?, &hash).await?;
        let now = self.db.now();
        let valid = found
            .filter(|key| key.is_valid(now))
            .filter(|key| addresses::allow(key.allowed_addresses.as_deref(), &origin.address));
        // One answer for all: the reason would help an attacker with a leaked key.
        let Some(key) = valid else {
            return Err(ApiError::Unauthenticated(Some(
                "the key does not exist, has expired, was revoked, or may not be used from this address",
            )));
        };
        let permissions = key.permissions();
        Ok(Caller {
            identity: Identity::Key {
                id: key.id,
                hash,
                messages_per_day: key.messages_per_day,
            },
            name: key.name,
            role: None,
            permissions,
            origin,
            attempt: None,
        })
    }

    /// Authenticates a user. The token names the session; the user's role is read for each request,
    /// so that a logout or a lost role takes effect immediately.
    async fn authenticate_session(&self, token: &str, origin: Origin) -> Result<Caller, ApiError> {
        if !self.gate.local_login {
            return Err(ApiError::Unauthenticated(Some(
                "accounts of this API are switched off",
            )));
        }
        let now = self.db.now();
        let keys = &self.gate.signing_keys;
        let claims = keys.verify(token, now).await.map_err(refused)?;
        let user = session_user(&mut *self.db.acquire().await?, claims.sid, now).await?;
        let user = user.filter(|user| user.user_id == claims.sub);
        let Some(user) = user else {
            return Err(ApiError::Unauthenticated(Some("the session has ended")));
        };
        // Without a required second factor a person may only set one up: no other route is open.
        let is_missing = self.gate.second_factor.includes(user.role) && !user.second_factor;
        let permissions = if is_missing {
            Vec::new()
        } else {
            user.role.permissions().to_vec()
        };
        Ok(Caller {
            identity: Identity::User {
                id: user.user_id,
                session: claims.sid,
            },
            name: user.username,
            role: Some(user.role),
            permissions,
            origin,
            attempt: None,
        })
    }
}

fn rate_limited(rate: Rate, state: RateState) -> ApiError {
    let per_minute = rate.per_minute;
    ApiError::TooMany {
        problem: &problems::RATE_LIMITED,
        detail: format!("expected at most {per_minute} requests per minute and caller"),
        wait_s: state.wait_ms.div_ceil(1000).max(1),
    }
}

/// Returns the fields of draft-ietf-httpapi-ratelimit-headers: quota and window in seconds; the
/// remaining requests, and seconds until the full quota is available again.
fn rate_headers(rate: Rate, state: RateState) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let policy = format!("\"requests\";q={};w=60", rate.per_minute);
    let remaining = format!(
        "\"requests\";r={};t={}",
        state.remaining,
        state.wait_ms.div_ceil(1000)
    );
    let header = |name, value: String| {
        Some((
            HeaderName::from_static(name),
            HeaderValue::try_from(value).ok()?,
        ))
    };
    [
        header("ratelimit-policy", policy),
        header("ratelimit", remaining),
    ]
    .into_iter()
    .flatten()
}

/// Returns whether the caller may call a route with this access rule.
fn check_access(caller: &Caller, access: Access) -> Result<(), ApiError> {
    match access {
        Access::Public | Access::Signed | Access::Authenticated => Ok(()),
        Access::Session if matches!(caller.identity, Identity::User { .. }) => Ok(()),
        Access::Session => Err(ApiError::Forbidden(None)),
        Access::Requires(permission) if caller.permissions.contains(&permission) => Ok(()),
        Access::RequiresOrOwn(all, own)
            if caller.permissions.contains(&all) || caller.permissions.contains(&own) =>
        {
            Ok(())
        }
        // Each role has permissions, unless a required second factor is missing.
        Access::Requires(_) | Access::RequiresOrOwn(..)
            if caller.permissions.is_empty()
                && matches!(caller.identity, Identity::User { .. }) =>
        {
            Err(ApiError::SecondFactorMissing)
        }
        Access::Requires(permission) | Access::RequiresOrOwn(permission, _) => {
            Err(ApiError::Forbidden(Some(permission)))
        }
    }
}

/// Returns the token of the only header `Authorization: Bearer …` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return Err(ApiError::Unauthenticated(None));
    };
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .unwrap_or_default();
    let valid = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.len() <= LONGEST_TOKEN
        && !token.contains(' ');
    if valid && given.next().is_none() {
        Ok(token)
    } else {
        Err(ApiError::Unauthenticated(Some(
            "expected one `Authorization: Bearer TOKEN`",
        )))
    }
}

fn refused(reason: Refused) -> ApiError {
    match reason {
        Refused::Unavailable(reason) => ApiError::KeysUnavailable(reason),
        other => ApiError::Unauthenticated(Some(other.as_str())),
    }
}

//! In front of every route: who calls (401), how often (429), and whether it may (403). Then the handler.

use crate::auth::{
    limits::{Rate, Spent, spend_request},
    session_store::session_user,
    store::find_api_key,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use shared::{
    access::{Permission, Role},
    platform::secret::hash_token,
};

use crate::auth::{Caller, Identity, tokens::Refused};
use crate::{
    App,
    http::{
        error::ApiError,
        origin::{Origin, Told},
    },
    routes::Access,
};

/// What every key begins with.
pub const KEY_PREFIX: &str = "sms_";
/// No token is longer; those of issuers with many claims have some thousand characters.
const LONGEST_TOKEN: usize = 8 * 1024;

/// Lets a request through to its handler, or not.
pub async fn guard(
    State((app, access, route)): State<(App, Access, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let (actor, mut response) = match admit(&app, access, &parts).await {
        Ok((caller, spent)) => {
            let actor = caller.actor();
            (
                actor,
                run(
                    Request::from_parts(parts, body),
                    caller,
                    (access, app.gate.rate, spent),
                    next,
                )
                .await,
            )
        }
        Err(error) => ("nobody".to_owned(), error.into_response()),
    };
    response.extensions_mut().insert(Told { route, actor });
    response
}

/// The rate comes before the permission, so that nobody tries doors for nothing.
async fn run(
    mut request: Request,
    caller: Caller,
    (access, rate, spent): (Access, Rate, Option<Spent>),
    next: Next,
) -> Response {
    let refused = spent.filter(|spent| !spent.allowed);
    let mut response = match refused {
        Some(spent) => ApiError::TooMany {
            slug: "rate-limited",
            detail: format!(
                "expected at most {} requests a minute of one caller",
                rate.per_minute
            ),
            wait_s: spent.wait_ms.div_ceil(1000).max(1),
        }
        .into_response(),
        None => match may(&caller, access) {
            Ok(()) => {
                request.extensions_mut().insert(caller);
                next.run(request).await
            }
            Err(error) => error.into_response(),
        },
    };
    if let Some(spent) = spent {
        response.headers_mut().extend(rate_headers(rate, spent));
    }
    response
}

/// The fields of draft-ietf-httpapi-ratelimit-headers: quota and window in seconds; what is left, and seconds until all of it is back.
fn rate_headers(rate: Rate, spent: Spent) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let policy = format!("\"requests\";q={};w=60", rate.per_minute);
    let state = format!(
        "\"requests\";r={};t={}",
        spent.remaining,
        spent.wait_ms.div_ceil(1000)
    );
    let header = |name, value: String| {
        Some((
            HeaderName::from_static(name),
            HeaderValue::try_from(value).ok()?,
        ))
    };
    [
        header("ratelimit-policy", policy),
        header("ratelimit", state),
    ]
    .into_iter()
    .flatten()
}

/// The caller, and what its rate says.
async fn admit(
    app: &App,
    access: Access,
    request: &Parts,
) -> Result<(Caller, Option<Spent>), ApiError> {
    let origin = request
        .extensions
        .get::<Origin>()
        .cloned()
        .unwrap_or_default();
    let caller = match access {
        Access::Public | Access::Signed => Caller::nobody(origin),
        _ => authenticate(app, &request.headers, origin).await?,
    };
    // What needs no login and only reads, such as /health, costs nothing worth a write. Neither does a signature that is wrong, and one that is
    // right brings receipts by the thousand, whose rate is the gateway's to limit.
    if access == Access::Signed || (access == Access::Public && request.method != Method::POST) {
        return Ok((caller, None));
    }
    let spent = spend_request(
        &mut *app.db.pool.acquire().await?,
        &caller.counted_by(),
        app.gate.rate,
        app.db.now(),
    )
    .await?;
    Ok((caller, Some(spent)))
}

fn may(caller: &Caller, access: Access) -> Result<(), ApiError> {
    match access {
        Access::Public | Access::Signed | Access::Anyone => Ok(()),
        Access::Person if matches!(caller.identity, Identity::User { .. }) => Ok(()),
        Access::Person => Err(ApiError::Forbidden(None)),
        Access::Needs(permission) if caller.permissions.contains(&permission) => Ok(()),
        Access::Needs(permission) => Err(ApiError::Forbidden(Some(permission))),
    }
}

async fn authenticate(app: &App, headers: &HeaderMap, origin: Origin) -> Result<Caller, ApiError> {
    let token = bearer(headers)?;
    if token.starts_with(KEY_PREFIX) {
        return by_key(app, token, origin).await;
    }
    let theirs = app.gate.issuer.as_ref().filter(|issuer| issuer.owns(token));
    let Some(issuer) = theirs else {
        return by_session(app, token, origin).await;
    };
    let outsider = issuer.verify(token, app.db.now()).await.map_err(refused)?;
    let role = outsider.role.and_then(Role::parse);
    let permissions = role
        .map(|role| role.permissions().to_vec())
        .unwrap_or_default();
    let identity = Identity::Outsider {
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

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1), given once.
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
    let good = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.len() <= LONGEST_TOKEN
        && !token.contains(' ');
    if good && given.next().is_none() {
        Ok(token)
    } else {
        Err(ApiError::Unauthenticated(Some(
            "expected one `Authorization: Bearer TOKEN`",
        )))
    }
}

async fn by_key(app: &App, token: &str, origin: Origin) -> Result<Caller, ApiError> {
    let hash = hash_token(token);
    let found = find_api_key(&mut *app.db.pool.acquire().await?, &hash).await?;
    let now = app.db.now();
    // One answer for all of these: which one it is says something about a key that somebody found.
    let holds =
        found.filter(|key| key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now));
    let Some(key) = holds else {
        return Err(ApiError::Unauthenticated(Some(
            "the key does not exist, has expired or was revoked",
        )));
    };
    Ok(Caller {
        identity: Identity::Key {
            id: key.id,
            hash,
            messages_per_day: key.messages_per_day,
        },
        name: key.name,
        role: None,
        permissions: Permission::parse_list(&key.permissions),
        origin,
        attempt: None,
    })
}

/// The token says which session; what the user may is asked anew each time, so that a logout or a lost role counts at once.
async fn by_session(app: &App, token: &str, origin: Origin) -> Result<Caller, ApiError> {
    let now = app.db.now();
    let claims = app
        .gate
        .signing_keys
        .verify(token, now)
        .await
        .map_err(refused)?;
    let user = session_user(&mut *app.db.pool.acquire().await?, claims.sid, now).await?;
    let user = user.filter(|user| user.user_id == claims.sub);
    let Some(user) = user else {
        return Err(ApiError::Unauthenticated(Some("the session has ended")));
    };
    Ok(Caller {
        identity: Identity::User {
            id: user.user_id,
            session: claims.sid,
        },
        name: user.username,
        role: Some(user.role),
        permissions: user.role.permissions().to_vec(),
        origin,
        attempt: None,
    })
}

fn refused(refused: Refused) -> ApiError {
    match refused {
        Refused::Unavailable(reason) => ApiError::KeysUnavailable(reason),
        other => ApiError::Unauthenticated(Some(other.as_str())),
    }
}

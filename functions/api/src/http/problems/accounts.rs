//! The types of problems about accounts and logins.

use super::ProblemType;

/// `unauthenticated`
pub const UNAUTHENTICATED: ProblemType = ProblemType {
    slug: "unauthenticated",
    status: 401,
    title: "The caller is not authenticated",
    meaning: "There is no token, or the token is not valid.",
    remedy: "Send `Authorization: Bearer` with an API key or an access token. If an access token has expired, refresh it or log in again.",
};

/// `wrong-credentials`
pub const WRONG_CREDENTIALS: ProblemType = ProblemType {
    slug: "wrong-credentials",
    status: 401,
    title: "The credentials are wrong",
    meaning: "The username, the password or the refresh token is wrong.",
    remedy: "Log in again; ask an administrator for a new password.",
};

/// `forbidden`
pub const FORBIDDEN: ProblemType = ProblemType {
    slug: "forbidden",
    status: 403,
    title: "The caller lacks a permission",
    meaning: "The caller is authenticated, but not authorized for this call.",
    remedy: "Use a caller with the permission that `permission` names.",
};

/// `password-change-required`
pub const PASSWORD_CHANGE_REQUIRED: ProblemType = ProblemType {
    slug: "password-change-required",
    status: 403,
    title: "The password has to be changed",
    meaning: "The password is temporary.",
    remedy: "Log in with `new_password` in the same call.",
};

/// `username-taken`
pub const USERNAME_TAKEN: ProblemType = ProblemType {
    slug: "username-taken",
    status: 409,
    title: "The username is taken",
    meaning: "Another user has this username.",
    remedy: "Choose another username.",
};

/// `last-admin`
pub const LAST_ADMIN: ProblemType = ProblemType {
    slug: "last-admin",
    status: 409,
    title: "This is the last administrator",
    meaning: "After the change, no user could manage users.",
    remedy: "Create another administrator first.",
};

/// `password-changed`
pub const PASSWORD_CHANGED: ProblemType = ProblemType {
    slug: "password-changed",
    status: 409,
    title: "The password was changed concurrently",
    meaning: "Another call changed the password at the same time.",
    remedy: "Log in again.",
};

/// `login-locked`
pub const LOGIN_LOCKED: ProblemType = ProblemType {
    slug: "login-locked",
    status: 429,
    title: "Too many failed logins",
    meaning: "There were too many failed logins with this username or from this address.",
    remedy: "Wait as long as `Retry-After` says.",
};

/// `local-login-off`
pub const LOCAL_LOGIN_OFF: ProblemType = ProblemType {
    slug: "local-login-off",
    status: 403,
    title: "Accounts of this API are switched off",
    meaning: "This deployment accepts only tokens of its OpenID provider, and API keys.",
    remedy: "Get an access token from the provider that the detail names.",
};

/// `second-factor-required`
pub const SECOND_FACTOR_REQUIRED: ProblemType = ProblemType {
    slug: "second-factor-required",
    status: 403,
    title: "The login needs a code",
    meaning: "The username and the password are right, and the account has a second factor.",
    remedy: "Log in with `code` in the same call: the code that the authenticator app shows, or a recovery code.",
};

/// `second-factor-missing`
pub const SECOND_FACTOR_MISSING: ProblemType = ProblemType {
    slug: "second-factor-missing",
    status: 403,
    title: "The account needs a second factor",
    meaning: "This deployment requires a second factor of accounts with this role, and the account has none.",
    remedy: "Set one up: `POST /v1/auth/second-factor`, then `POST /v1/auth/second-factor/confirm`.",
};

/// `second-factor-set`
pub const SECOND_FACTOR_SET: ProblemType = ProblemType {
    slug: "second-factor-set",
    status: 409,
    title: "The account has a second factor",
    meaning: "A second factor is enabled, and is not replaced by another one.",
    remedy: "Remove it first: `POST /v1/auth/second-factor/remove`.",
};

/// `second-factor-not-begun`
pub const SECOND_FACTOR_NOT_BEGUN: ProblemType = ProblemType {
    slug: "second-factor-not-begun",
    status: 409,
    title: "No second factor was begun",
    meaning: "There is no secret that a code could prove.",
    remedy: "Begin with `POST /v1/auth/second-factor`.",
};

//! Which senders a caller may choose.

use shared::access::Permission;
use sqlx::MySqlConnection;

use crate::{
    auth::{Caller, caller::Identity},
    http::error::{ApiError, FieldError},
    resources::senders::store::{find_sender, senders_of_key},
};

/// Returns an error unless the caller may send from this sender. A schedule without one is sent from
/// the sender that the carrier has set for the account.
///
/// A key with senders of its own may choose only these. Otherwise a sender has to be registered, or
/// the caller needs the permission to choose freely.
pub async fn permit_sender(
    connection: &mut MySqlConnection,
    caller: &Caller,
    sender: &str,
) -> Result<(), ApiError> {
    if let Identity::Key { id, .. } = caller.identity
        && let Some(own) = senders_of_key(connection, id).await?
    {
        let is_own = own.split(',').any(|allowed| allowed == sender);
        let expected = format!("expected one of the senders of this key: {own}");
        return is_own.then_some(()).ok_or_else(|| refused(expected));
    }
    if caller.permissions.contains(&Permission::SendersAny) {
        return Ok(());
    }
    match find_sender(connection, sender).await? {
        Some(found) if found.sender == sender => Ok(()),
        Some(found) => Err(refused(format!(
            "expected a registered sender; did you mean `{}`?",
            found.sender
        ))),
        None => Err(refused(format!(
            "expected one of the senders that `GET /v1/senders` lists, or none; another one needs the permission `{}`",
            Permission::SendersAny.as_str()
        ))),
    }
}

fn refused(expected: String) -> ApiError {
    ApiError::invalid(vec![FieldError::new(
        "sender",
        "sender-not-allowed",
        expected,
    )])
}

//! Hashes of passwords.

use secrecy::SecretString;
use shared::platform::secret::hash_password;

use crate::http::error::ApiError;

/// Returns the hash of a new password.
pub async fn hash(password: SecretString) -> Result<String, ApiError> {
    hash_password(password)
        .await
        .map_err(|error| ApiError::Internal(format!("{error:#}")))
}

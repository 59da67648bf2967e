//! Many rows as one JSON value, which a statement reads with `JSON_TABLE`.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// Serializes rows into the value of one bind.
pub fn to_json(rows: &[impl Serialize]) -> sqlx::Result<String> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Serializes a time as `DATETIME(3)` reads it.
pub fn as_datetime<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.format("%Y-%m-%d %H:%M:%S%.3f"))
}

/// Serializes an id as 32 hexadecimal digits, for `UNHEX`.
pub fn as_hex<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&id.simple())
}

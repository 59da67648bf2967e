//! What occurs once in the list of a schedule.

use serde::Serialize;

/// What no two recipients of a schedule have in common, the column `schedules.unique_by`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum UniqueBy {
    /// The number.
    #[default]
    Phone,
    /// The reference, which each recipient has. A number may occur more than once.
    Reference,
}

impl UniqueBy {
    /// Both; the first is the default.
    pub const ALL: [Self; 2] = [Self::Phone, Self::Reference];

    /// Returns the value in the database and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Reference => "reference",
        }
    }
}

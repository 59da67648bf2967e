//! The field `priority`: who may choose high, and what applies if nobody has chosen.

use serde_json::{Value, json};
use shared::{access::Permission, schedule::priority::Priority};

use crate::{
    auth::Caller,
    http::{error::ApiError, fields::Fields},
    openapi::schemas::derived,
};

/// Reads the field, if given.
pub fn read(fields: &mut Fields) -> Option<Priority> {
    fields.choice("priority", &Priority::ALL, Priority::as_str)
}

/// Returns an error if the caller may not give a schedule this priority.
pub fn allow(caller: &Caller, priority: Priority) -> Result<(), ApiError> {
    let needed = Permission::SchedulesHigh;
    if priority == Priority::High && !caller.permissions.contains(&needed) {
        return Err(ApiError::Forbidden(Some(needed)));
    }
    Ok(())
}

/// Returns the priority of a schedule for which nobody has chosen one: bulk if it has more than
/// `bulk_above` recipients (`None`: never).
pub fn by_size(recipients: u64, bulk_above: Option<u32>) -> Priority {
    if bulk_above.is_some_and(|most| recipients > u64::from(most)) {
        Priority::Bulk
    } else {
        Priority::Normal
    }
}

/// Returns the schema of the field.
pub fn schema() -> Value {
    let high = Permission::SchedulesHigh.as_str();
    let mut schema = derived::<Priority>();
    schema["description"] = json!(format!(
        "At the carrier: `high` is sent before all others, and needs the permission `{high}`; `bulk` gets what the others leave, \
            and at least a tenth. null: `normal`, or `bulk` for a list above the deployment's size (`BULK_ABOVE`)."
    ));
    schema
}

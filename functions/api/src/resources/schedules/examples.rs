//! Examples of a schedule for the OpenAPI document.

use serde_json::{Value, json};
use shared::message::status::Status;

use crate::openapi::parameters::AHEAD;

/// Returns the counts of two recipients whose messages have not been sent.
pub fn counts() -> Value {
    let each = Status::ALL.map(|status| {
        (
            status.as_str().to_owned(),
            json!(if status == Status::Pending { 2 } else { 0 }),
        )
    });
    Value::Object(each.into_iter().collect())
}

/// Returns a schedule.
fn listed(status: &str) -> Value {
    let here = "/v1/schedules/0190a0b0-c0d0-7080-8000-00000000000f";
    json!({
        "id": "0190a0b0-c0d0-7080-8000-00000000000f",
        "name": "Parcels of Tuesday",
        "reference": "run-4711",
        "labels": ["parcels"],
        "callback_webhook_id": null,
        "status": status,
        "version": 1,
        "run_at": AHEAD,
        "message": "Dear {{name|default('customer')}}, your parcel is here.",
        "encoding": null,
        "parts": 1,
        "variables": ["name"],
        "sender": "Acme",
        "rate": 20,
        "priority": "normal",
        "window": {"days": ["Mon", "Fri"], "from": "09:00", "to": "20:00", "zone": "Asia/Kuala_Lumpur"},
        "max_attempts": 3,
        "max_lateness_s": 3_600,
        "send_until": null,
        "send_within_s": null,
        "resend_within_s": 21_600,
        "on_uncertain": "hold",
        "unique_by": "phone",
        "recipients": {"total": 2, "invalid": 0, "duplicates": 0},
        "dispatched_by": null,
        "dispatched_at": null,
        "paused_at": null,
        "pause_reason": null,
        "reason": null,
        "finished_at": null, "personal_data_erased_at": null,
        "created_at": "2026-12-01T01:00:00Z",
        "created_by": "key:0190a0b0-c0d0-7080-8000-00000000000e",
        "resend_of": null,
        "resent_by": null,
        "links": {"self": here, "recipients": format!("{here}/recipients"), "batches": format!("{here}/batches")},
    })
}

/// Returns a forecast.
pub fn forecast_example() -> Value {
    json!({
        "planned_start": AHEAD, "planned_end": AHEAD, "duration_s": 0.1, "parts_per_second": 20.0, "capacity_used": 0.2,
        "limited_by": "rate", "not_sent_in_time": 0,
    })
}

/// Returns a schedule as answers have it, with additional members.
pub fn shown(status: &str, more: Value) -> Value {
    let mut all = listed(status);
    let counted = json!({
        "counts": counts(),
        "already_sent": 0,
        "changeable_until": "2027-01-31T00:58:20Z",
        "next_send_at": AHEAD,
        "summary": null,
        "canary": null,
        "attention": {"kinds": [], "missed_batches": 0, "parked_batches": 0, "uncertain": 0},
    });
    for members in [counted, more] {
        if let (Some(all), Value::Object(members)) = (all.as_object_mut(), members) {
            all.extend(members);
        }
    }
    all
}

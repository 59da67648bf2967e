//! A batch for the unit tests.

use chrono::{DateTime, Utc};
use shared::{
    batch::claim::ClaimedBatch,
    schedule::{on_uncertain::OnUncertain, priority::Priority, status::ScheduleStatus},
};

/// Returns a batch of a running schedule, planned and due at a time.
pub fn batch(at: DateTime<Utc>) -> ClaimedBatch {
    ClaimedBatch {
        first_seq: 1,
        last_seq: 1000,
        planned_at: at,
        send_at: Some(at),
        check_at: None,
        tries: 1,
        refusals: 0,
        checks: 0,
        requeues: 0,
        missed: false,
        is_canary: false,
        schedule_status: ScheduleStatus::Running,
        message: "Hello".to_owned(),
        parts: 1,
        sender: None,
        rate: None,
        priority: Priority::Normal,
        send_window: None,
        max_lateness_s: 3600,
        ends_at: None,
        max_resends: 2,
        resend_within_s: 3600,
        on_uncertain: OnUncertain::Hold,
        wants_final_events: false,
        turns_exist: false,
        prices_version: None,
        budgets_exist: false,
        limit_known: false,
        open_slots: 8,
        progress_at: None,
        outage_from: None,
        outage_until: None,
    }
}

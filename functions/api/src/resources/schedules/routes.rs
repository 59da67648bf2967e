//! Routes of `/v1/schedules`.

use shared::access::Permission::{AttentionWrite, SchedulesApprove, SchedulesRead, SchedulesWrite};

use crate::{
    auth::access::Access::Requires,
    resources::schedules::{
        approval, batches, bulk, change, create, dry_run::draft, list, moves, resend, show,
    },
    route::{Route, get, patch, post},
};

/// Returns the routes of schedules.
pub fn table() -> Vec<Route> {
    [
        schedule_routes(),
        move_routes(),
        approval_routes(),
        batch_routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the routes that list, create, read and change schedules.
fn schedule_routes() -> Vec<Route> {
    vec![
        get(
            "/v1/schedules",
            Requires(SchedulesRead),
            list::list,
            list::list_doc,
        ),
        post(
            "/v1/schedules",
            Requires(SchedulesWrite),
            create::create,
            create::create_doc,
        ),
        get(
            "/v1/schedules/{id}",
            Requires(SchedulesRead),
            show::show,
            show::show_doc,
        ),
        post(
            "/v1/schedules/{id}/dry-run",
            Requires(SchedulesRead),
            draft::dry_run,
            draft::dry_run_doc,
        ),
        patch(
            "/v1/schedules/{id}",
            Requires(SchedulesWrite),
            change::change,
            change::change_doc,
        ),
    ]
}

/// Returns the routes that move schedules to another state.
fn move_routes() -> Vec<Route> {
    vec![
        post(
            "/v1/schedules/pause",
            Requires(SchedulesWrite),
            bulk::pause_all,
            bulk::pause_all_doc,
        ),
        post(
            "/v1/schedules/resume",
            Requires(SchedulesWrite),
            bulk::resume_all,
            bulk::resume_all_doc,
        ),
        post(
            "/v1/schedules/{id}/activate",
            Requires(SchedulesWrite),
            moves::activate,
            moves::activate_doc,
        ),
        post(
            "/v1/schedules/{id}/pause",
            Requires(SchedulesWrite),
            moves::pause,
            moves::pause_doc,
        ),
        post(
            "/v1/schedules/{id}/resume",
            Requires(SchedulesWrite),
            moves::resume,
            moves::resume_doc,
        ),
        post(
            "/v1/schedules/{id}/cancel",
            Requires(SchedulesWrite),
            moves::cancel,
            moves::cancel_doc,
        ),
        post(
            "/v1/schedules/{id}/resend",
            Requires(SchedulesWrite),
            resend::resend,
            resend::resend_doc,
        ),
        post(
            "/v1/schedules/{id}/send-now",
            Requires(AttentionWrite),
            moves::send_now,
            moves::send_now_doc,
        ),
    ]
}

/// Returns the routes of the decision of a second person.
fn approval_routes() -> Vec<Route> {
    vec![
        get(
            "/v1/schedules/{id}/approval",
            Requires(SchedulesRead),
            approval::show::show,
            approval::show::show_doc,
        ),
        post(
            "/v1/schedules/{id}/approve",
            Requires(SchedulesApprove),
            approval::decide::approve,
            approval::decide::approve_doc,
        ),
        post(
            "/v1/schedules/{id}/reject",
            Requires(SchedulesApprove),
            approval::decide::reject,
            approval::decide::reject_doc,
        ),
    ]
}

/// Returns the routes that list batches and retry them.
fn batch_routes() -> Vec<Route> {
    vec![
        get(
            "/v1/schedules/{id}/batches",
            Requires(SchedulesRead),
            batches::list,
            batches::list_doc,
        ),
        post(
            "/v1/schedules/{id}/retry",
            Requires(AttentionWrite),
            batches::retry_all,
            batches::retry_all_doc,
        ),
        post(
            "/v1/schedules/{id}/batches/{no}/retry",
            Requires(AttentionWrite),
            batches::retry_one,
            batches::retry_one_doc,
        ),
    ]
}

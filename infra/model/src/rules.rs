//! The SQL statements of the protocol as plain functions: when a statement matches a row, and what
//! it writes. The model changes its rows only with these functions. The tests in `tests/sql`
//! compare each function with its statement for all values that it distinguishes.
//!
//! `owns` means that the batch's token is the token of the claim that executes the statement.

mod admission;
mod brake;
mod changes;
mod claim;
mod cut;
mod lifecycle;
mod missed;
mod recipients;

pub use admission::{admit, end_turn, may_admit, may_hold_turn, open_turn, release_held};
pub use brake::{release_brake, skip_while_stopped};
pub use changes::{cancel_recipient, change_recipient, is_in_time};
pub use claim::{
    Release, bring_forward, claim_to_check, claim_to_send, finish, is_held, make_due_if_lease_lost,
    may_claim_to_check, may_claim_to_send, may_finish, needs_check, needs_send, release,
    sweep_enqueues_check, sweep_enqueues_send,
};
pub use cut::{
    Decision, Opening, Timing, decide, is_changeable, is_open, mark_cut, mark_missed, may_mark_cut,
    send_uncut_now, sweep_enqueues_cut,
};
pub use lifecycle::{cancel, pause, resume};
pub use missed::{
    hold_missed, may_hold_missed, may_resolve, may_send_now, resolve_resend, resolve_sent, send_now,
};
pub use recipients::{
    Flush, StatusUpdate, close_pending, expire_pending, flush, flush_in_place, keep_attempt,
    mark_owner_lost, may_answer, may_be_sent_again, may_close, may_mark, may_record_receipt,
    may_record_status_update, may_skip, may_unmark, record_late_answer, record_late_receipt,
    record_receipt, record_status_in_place, record_status_update,
};

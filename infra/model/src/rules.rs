//! The statements of `shared::platform::db` as plain functions: who may write, and what is then there. The model moves by these alone, and the
//! tests in `tests/sql_*.rs` hold each against its statement, over all the values that it tells apart.
//!
//! `owns` says that the batch's token is that of the claim under which the statement is said.

mod claim;
mod cut;
mod missed;
mod moves;
mod outcomes;

pub use claim::{
    Release, bring_forward, claim, finish, hands_out_check, hands_out_send, may_claim_to_check,
    may_claim_to_send, may_finish, poke, release, wants_check, wants_send,
};
pub use cut::{
    Decision, Hour, decide, is_changeable, is_open, mark_cut, mark_missed, may_mark_cut,
    send_uncut_now, wants_cut,
};
pub use missed::{
    hold_missed, may_hold_missed, may_resolve, may_send_now, resolve_resend, resolve_sent, send_now,
};
pub use moves::{cancel, pause, resume};
pub use outcomes::{
    Flush, StatusUpdate, close, flush, keep, late_answer, late_receipt, may_answer,
    may_be_sent_again, may_close, may_mark, may_skip, may_unmark, may_write_receipt,
    may_write_verdict, owner_lost, receipt, verdict,
};

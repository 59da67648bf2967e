//! Checks the rows of one recipient without the ledger.

use shared::message::status::Status;

use super::{Findings, Kind, claims_acceptance};
use crate::evidence::{Case, Row};

/// Checks one recipient's rows, which are sorted by attempt.
pub(super) fn check(case: &Case, rows: &[Row], findings: &mut Findings) {
    for row in rows {
        check_row(case, row, findings);
    }
    for pair in rows.windows(2) {
        check_order(case, &pair[0], &pair[1], findings);
    }
    let Some(last) = rows.last() else { return };
    if matches!(
        last.status,
        Status::Pending | Status::Sending | Status::Acceptd | Status::Enroute
    ) {
        findings.add_problem(Kind::Unfinished, last.seq);
    }
    // If the last row is from `attempts`, the recipient's own row is missing.
    if last.earlier || last.resends as usize != rows.len() - 1 {
        findings.add_problem(Kind::HistoryMissing, last.seq);
    }
}

fn check_row(case: &Case, row: &Row, findings: &mut Findings) {
    if claims_acceptance(row) {
        findings.accepted_attempts += 1;
        if row.ids.is_empty() {
            findings.add_problem(Kind::NoId, row.seq);
        }
    }
    findings.accepted_messages += row.ids.len() as u64;
    findings.uncertain += u64::from(row.status == Status::Uncertain);
    if row.sent_ms.is_some_and(|sent_ms| sent_ms < case.run_at_ms) {
        findings.add_problem(Kind::Early, row.seq);
    }
}

fn check_order(case: &Case, before: &Row, after: &Row, findings: &mut Findings) {
    // A row that is PENDING again after a 429: the later attempt was made and not accepted.
    // ACCEPTD: the attempt was UNCERTAIN when it was sent again, and its response arrived later.
    let by_policy =
        matches!(before.status, Status::Uncertain | Status::Acceptd) && case.resends_uncertain;
    if !matches!(before.status, Status::Undeliv | Status::Expired) && !by_policy {
        findings.add_problem(Kind::ResentWithoutReason, after.seq);
    }
    if before
        .final_ms
        .zip(after.sent_ms)
        .is_some_and(|(ended_ms, sent_ms)| sent_ms < ended_ms)
    {
        findings.add_problem(Kind::ResentEarly, after.seq);
    }
}

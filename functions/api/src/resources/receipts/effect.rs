//! The effect of a receipt on its message. It is computed as a recheck computes a status update
//! (`functions/recheck/src/status_update.rs`), but for one part at a time. Pure.

use shared::{
    carrier::{OwnId, receipt::Receipt},
    message::status::Status,
};

use super::store::{MatchedAttempt, ReceiptRow};

/// The change that a receipt causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The message has a new status.
    Write(ReceiptRow),
    /// The receipt is about one part, and the status of the message depends on the others: a status
    /// query for all parts is needed.
    Query,
    /// Nothing: the status is known, or not newer.
    Nothing,
}

/// Returns the effect of a receipt on the attempt that it matches.
pub fn effect(found: &MatchedAttempt, receipt: &Receipt) -> Effect {
    if !matches!(
        found.status,
        Status::Acceptd | Status::Enroute | Status::Uncertain
    ) {
        return Effect::Nothing;
    }
    let status = match receipt.status {
        // One final failure fails the message.
        failed @ (Status::Undeliv | Status::Expired | Status::Deleted | Status::Rejectd) => failed,
        reported if !is_whole(found, &receipt.message_id) => {
            // For an UNCERTAIN message, it proves that the carrier accepted it, but not every part of it.
            let needs_query = reported == Status::Delivrd
                || (found.status == Status::Uncertain && reported != Status::Unknown);
            return if needs_query {
                Effect::Query
            } else {
                Effect::Nothing
            };
        }
        // UNKNOWN is no status update before the deadline; the recheck closes open messages then.
        Status::Unknown => found.status,
        // Receipts may overtake each other.
        Status::Acceptd if found.status == Status::Enroute => return Effect::Nothing,
        reported => reported,
    };
    let new = status != found.status
        || found.carrier_status.as_deref() != Some(receipt.carrier_status.as_str());
    if !new || status == Status::Uncertain {
        return Effect::Nothing;
    }
    Effect::Write(ReceiptRow {
        schedule_id: found.schedule_id,
        seq: found.seq,
        attempt: found.attempt,
        status,
        carrier_status: receipt.carrier_status.clone(),
        message_id: receipt.message_id.clone(),
        is_final: u8::from(status.is_final()),
        sent_at: found.sent_at,
    })
}

/// Returns whether the id is that of a whole message. If no answer is recorded, the form of an own id
/// decides (`shared::carrier::own_ids`).
fn is_whole(found: &MatchedAttempt, id: &str) -> bool {
    match &found.message_id {
        Some(ids) => !ids.contains(','),
        None => found.parts <= 1 && OwnId::read(id).is_some_and(|own| own.part.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use Status::{
        Acceptd, Deleted, Delivrd, Enroute, Expired, Pending, Rejectd, Sending, Uncertain, Undeliv,
        Unknown,
    };
    use uuid::Uuid;

    use super::*;

    /// Returns the status of a row after a receipt, or the name of the other effect.
    fn after(
        status: Status,
        ids: Option<&str>,
        word: Option<&str>,
        (id, reported): (&str, &str),
    ) -> String {
        let (message_id, carrier_status) = (ids.map(str::to_owned), word.map(str::to_owned));
        let found = MatchedAttempt {
            place: 0,
            schedule_id: Uuid::nil(),
            seq: 7,
            attempt: 2,
            status,
            message_id,
            carrier_status,
            parts: 1,
            sent_at: None,
        };
        let (status, carrier_status) = shared::carrier::alaris::read_status(reported).unwrap();
        let receipt = Receipt {
            message_id: id.into(),
            phone: "+60123456789".into(),
            status,
            carrier_status,
        };
        match effect(&found, &receipt) {
            Effect::Write(row) => {
                assert_eq!(
                    (row.seq, row.attempt, row.is_final),
                    (7, 2, u8::from(row.status.is_final()))
                );
                assert_eq!(
                    (row.message_id.as_str(), row.carrier_status.as_str()),
                    (id, reported)
                );
                row.status.as_str().to_owned()
            }
            Effect::Query => "ask".to_owned(),
            Effect::Nothing => "-".to_owned(),
        }
    }

    #[test]
    fn each_status_has_its_effect_in_each_state() {
        let words = [
            "DELIVRD", "UNDELIV", "EXPIRED", "DELETED", "REJECTD", "ENROUTE", "ACCEPTD", "UNKNOWN",
            "IM_EXPD",
        ];
        let own = "00000000000000000000000000000000-7-2";
        let part = "00000000000000000000000000000000-7-2-1";
        #[rustfmt::skip]
        let table = [
            (Acceptd, Some("a"), "a", "DELIVRD UNDELIV EXPIRED DELETED REJECTD ENROUTE ACCEPTD ACCEPTD ENROUTE"),
            (Enroute, Some("a"), "a", "DELIVRD UNDELIV EXPIRED DELETED REJECTD ENROUTE - ENROUTE ENROUTE"),
            (Acceptd, Some("a,b"), "b", "ask UNDELIV EXPIRED DELETED REJECTD - - - -"),
            (Enroute, Some("a,b"), "b", "ask UNDELIV EXPIRED DELETED REJECTD - - - -"),
            (Uncertain, None, own, "DELIVRD UNDELIV EXPIRED DELETED REJECTD ENROUTE ACCEPTD - ENROUTE"),
            (Uncertain, None, part, "ask UNDELIV EXPIRED DELETED REJECTD ask ask - ask"),
        ];
        for (status, ids, id, expected) in table {
            let found: Vec<_> = words
                .iter()
                .map(|word| after(status, ids, None, (id, word)))
                .collect();
            assert_eq!(found.join(" "), expected, "{status:?} {id}");
        }
        for status in [
            Pending,
            Sending,
            Delivrd,
            Undeliv,
            Expired,
            Deleted,
            Rejectd,
            Unknown,
            Status::Cancelled,
            Status::Suppressed,
        ] {
            assert!(
                words
                    .iter()
                    .all(|word| after(status, Some("a"), None, ("a", word)) == "-"),
                "{status:?}"
            );
        }
    }

    #[test]
    fn a_known_status_has_no_effect() {
        assert_eq!(
            after(Enroute, Some("a"), Some("ENROUTE"), ("a", "ENROUTE")),
            "-"
        );
        assert_eq!(
            after(Enroute, Some("a"), Some("IM_EXPD"), ("a", "IM_EXPD")),
            "-"
        );
        assert_eq!(
            after(Enroute, Some("a"), Some("UNKNOWN"), ("a", "UNKNOWN")),
            "-"
        );
        assert_eq!(
            after(Acceptd, Some("a"), Some("ACCEPTD"), ("a", "ACCEPTD")),
            "-"
        );
    }
}

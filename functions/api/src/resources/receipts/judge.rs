//! What a receipt means for its message: as the recheck's verdict reads a carrier's answer (`functions/recheck/src/verdict.rs`), but for
//! one part at a time. Pure.

use crate::resources::receipts::store::{Found, Receipt as Row};
use shared::{carrier::OwnId, message::status::Status};

use shared::carrier::receipt::Receipt;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It says something new of the whole message.
    Write(Row),
    /// It says of one part what the others may or may not bear out: whoever asks for all of them finds out.
    Ask,
    /// Nothing new.
    Nothing,
}

/// Judges a receipt.
pub fn judge(found: &Found, receipt: &Receipt) -> Judgement {
    if !matches!(
        found.status,
        Status::Acceptd | Status::Enroute | Status::Uncertain
    ) {
        return Judgement::Nothing;
    }
    let status = match receipt.status {
        // One final failure fails the message.
        failed @ (Status::Undeliv | Status::Expired | Status::Deleted | Status::Rejectd) => failed,
        said if !is_whole(found, &receipt.message_id) => {
            // Of an UNCERTAIN one it proves that it was accepted, not in how many parts.
            let tells = said == Status::Delivrd
                || (found.status == Status::Uncertain && said != Status::Unknown);
            return if tells {
                Judgement::Ask
            } else {
                Judgement::Nothing
            };
        }
        // No verdict before the deadline, and the recheck closes what is open then.
        Status::Unknown => found.status,
        // Receipts overtake each other.
        Status::Acceptd if found.status == Status::Enroute => return Judgement::Nothing,
        said => said,
    };
    let new = status != found.status
        || found.carrier_status.as_deref() != Some(receipt.carrier_status.as_str());
    if !new || status == Status::Uncertain {
        return Judgement::Nothing;
    }
    Judgement::Write(Row {
        schedule_id: found.schedule_id,
        seq: found.seq,
        attempt: found.attempt,
        status,
        carrier_status: receipt.carrier_status.clone(),
        message_id: receipt.message_id.clone(),
        is_final: u8::from(status.is_final()),
    })
}

/// Whether the id is that of a whole message. Where no answer was recorded, an id of ours says so by its form (`carrier::own_ids`).
fn is_whole(found: &Found, id: &str) -> bool {
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

    /// What becomes of a row in that state, with these ids and that word, by a receipt with that id and word.
    fn after(
        status: Status,
        ids: Option<&str>,
        word: Option<&str>,
        (id, said): (&str, &str),
    ) -> String {
        let (message_id, carrier_status) = (ids.map(str::to_owned), word.map(str::to_owned));
        let found = Found {
            place: 0,
            schedule_id: Uuid::nil(),
            seq: 7,
            attempt: 2,
            status,
            message_id,
            carrier_status,
            parts: 1,
        };
        let (status, carrier_status) = shared::carrier::alaris::read_status(said).unwrap();
        let receipt = Receipt {
            message_id: id.into(),
            phone: "+60123456789".into(),
            status,
            carrier_status,
        };
        match judge(&found, &receipt) {
            Judgement::Write(row) => {
                assert_eq!(
                    (row.seq, row.attempt, row.is_final),
                    (7, 2, u8::from(row.status.is_final()))
                );
                assert_eq!(
                    (row.message_id.as_str(), row.carrier_status.as_str()),
                    (id, said)
                );
                row.status.as_str().to_owned()
            }
            Judgement::Ask => "ask".to_owned(),
            Judgement::Nothing => "-".to_owned(),
        }
    }

    #[test]
    fn every_word_in_every_state() {
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
    fn what_is_known_is_nothing_new() {
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

//! The text of the summary.

use chrono::DateTime;

use super::*;
use crate::{
    evidence::{MessageId, Row},
    proof::{Kind, Problem},
    rows::ScheduleRow,
};

fn row(seq: u32, status: Status, sends: u32) -> Row {
    Row {
        seq,
        phone: u64::from(seq),
        attempt: sends,
        earlier: false,
        status,
        resends: sends.saturating_sub(1),
        ids: MessageId::list(Some("a")),
        sent_ms: (sends > 0).then_some(1_012 + i64::from(seq) * 100),
        final_ms: (sends > 0).then_some(5_000),
    }
}

fn proof(rows: Vec<Row>, findings: Findings) -> Proof {
    let case = Case {
        rows,
        run_at_ms: 1_000,
        created_ms: 0,
        resends_uncertain: false,
        parts: 1,
        characters: 2,
    };
    let schedule = ScheduleRow {
        message: "Hi".to_owned(),
        status: "finished".to_owned(),
        run_at: DateTime::UNIX_EPOCH,
        dispatched_by: Some("eventbridge".to_owned()),
        duplicates: 1_234,
        parts: 1,
        created_at: DateTime::UNIX_EPOCH,
        on_uncertain: "hold".to_owned(),
    };
    Proof {
        schedule,
        case,
        findings,
        no_ledger: None,
    }
}

fn summary(proof: &Proof, highest_kb: &[(&str, u64)]) -> String {
    let highest_kb = highest_kb
        .iter()
        .map(|&(name, kb)| (name.to_owned(), kb))
        .collect();
    Summary {
        proof,
        highest_kb: &highest_kb,
    }
    .to_string()
}

#[test]
fn the_summary_shows_outcomes_times_memory_and_the_proof() {
    let rows = vec![
        row(0, Status::Delivrd, 1),
        row(1, Status::Delivrd, 2),
        row(2, Status::Undeliv, 3),
        row(3, Status::Cancelled, 0),
    ];
    let findings = Findings {
        with_ledger: true,
        first_accepted_ms: Some(1_015),
        last_accepted_ms: Some(3_000),
        ..Findings::default()
    };
    let text = summary(
        &proof(rows, findings),
        &[("sms-send", 20_480), ("sms-api", 70_000)],
    );
    for expected in [
        "finished, dispatched by eventbridge",
        "DELIVRD            2   1 after 1 attempt, 1 after 2 attempts\n",
        "UNDELIV            1   1 after 3 attempts\n",
        "UNCERTAIN          0\n",
        "CANCELLED          1\n",
        "duplicates     1,234",
        "first send 12 ms after run_at; first acceptance in the ledger 15 ms after run_at",
        "all first attempts sent within 0.2 s (14 messages/s), last acceptance at 2.0 s, last message final at 4.0 s",
        "sms-send               20.0 MB\n",
        "sms-api                68.4 MB  WARNING",
        "THE PROOF HOLDS",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn a_failed_proof_shows_the_problems() {
    let problems = (1..=7)
        .map(|seq| Problem {
            kind: Kind::Doubled,
            seq,
        })
        .collect();
    let mut early = row(1, Status::Delivrd, 1);
    early.sent_ms = Some(990);
    let text = summary(
        &proof(
            vec![early],
            Findings {
                with_ledger: true,
                problems,
                uncertain: 2,
                ..Findings::default()
            },
        ),
        &[],
    );
    for expected in [
        "WRONG: 7 accepted once more",
        "[1, 2, 3, 4, 5]",
        "DOES NOT HOLD",
        "10 ms before run_at  TOO EARLY",
        "2 attempts are",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn a_missing_ledger_is_reported() {
    let proof = Proof {
        no_ledger: Some("404".to_owned()),
        ..proof(vec![row(1, Status::Cancelled, 0)], Findings::default())
    };
    let text = summary(&proof, &[]);
    assert!(
        text.contains("based on the database alone") && text.contains("nothing was sent"),
        "{text}"
    );
}

#[test]
fn digits_are_grouped_in_thousands() {
    assert_eq!(
        [0, 999, 1_000, 1_234_567].map(grouped),
        ["0", "999", "1,000", "1,234,567"]
    );
}

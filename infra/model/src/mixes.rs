//! The mixes of faults. Each is small enough to be explored completely in seconds.

use crate::mix::Mix;

/// All mixes.
pub const MIXES: [Mix; 34] = [
    Mix {
        name: "processes crash",
        crash: true,
        ..Mix::CALM
    },
    Mix {
        name: "processes crash, leases end while their owners run",
        crash: true,
        freeze: true,
        ..Mix::CALM
    },
    Mix {
        name: "answers are lost",
        freeze: true,
        lost: true,
        ..Mix::CALM
    },
    Mix {
        name: "three recipients in two requests, partial answers",
        requests: &[0b011, 0b100],
        partial: true,
        freeze: true,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "429 and 4xx",
        requests: &[0b011],
        crash: true,
        freeze: true,
        throttle: true,
        refuse: true,
        ..Mix::CALM
    },
    Mix {
        name: "numbers and the account are refused",
        refuse: true,
        account: true,
        moves: 1,
        freeze: true,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "the schedule ends",
        end: true,
        max_resends: 1,
        moves: 1,
        crash: true,
        freeze: true,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "the schedule ends, UNDELIV is resent",
        end: true,
        moves: 1,
        throttle: true,
        freeze: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "a resend is throttled, lateness",
        throttle: true,
        lateness: true,
        freeze: true,
        undelivered: true,
        max_resends: 1,
        moves: 1,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "batches wait for their turn",
        admission: true,
        queues: true,
        crash: true,
        freeze: true,
        lateness: true,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "batches wait for their turn, pause, resume, cancel",
        admission: true,
        queues: true,
        crash: true,
        freeze: true,
        moves: 2,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "a batch waits for its turn while it is checked",
        admission: true,
        queues: true,
        crash: true,
        throttle: true,
        moves: 1,
        max_in_flight: 1,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "sending is stopped and resumed",
        brake: true,
        moves: 2,
        queues: true,
        crash: true,
        freeze: true,
        max_resends: 1,
        undelivered: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "sending is stopped while batches wait for their turn",
        brake: true,
        moves: 2,
        admission: true,
        queues: true,
        crash: true,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "a commit whose answer is lost",
        commit_lost: true,
        freeze: true,
        throttle: true,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "UNDELIV is resent",
        undelivered: true,
        max_resends: 1,
        freeze: true,
        forgets: true,
        crash: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "UNCERTAIN is resent by policy",
        resend_uncertain: true,
        max_resends: 1,
        lost: true,
        freeze: true,
        crash: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "UNCERTAIN is queried by own ids",
        own_ids: true,
        lost: true,
        freeze: true,
        crash: true,
        forgets: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "two parts",
        parts: 2,
        own_ids: true,
        lost: true,
        crash: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "pause, resume, cancel",
        moves: 3,
        crash: true,
        freeze: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "lateness, send now",
        lateness: true,
        moves: 2,
        crash: true,
        freeze: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "an operator resolves UNCERTAIN",
        operator: true,
        lost: true,
        freeze: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "queues lose and duplicate messages",
        queues: true,
        crash: true,
        freeze: true,
        lost: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "two parts, carrier ids",
        parts: 2,
        freeze: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "receipts pushed",
        pushes: true,
        undelivered: true,
        max_resends: 1,
        forgets: true,
        crash: true,
        freeze: true,
        requests: &[0b001],
        ..Mix::CALM
    },
    Mix {
        name: "receipts pushed, own ids",
        pushes: true,
        own_ids: true,
        lost: true,
        crash: true,
        freeze: true,
        forgets: true,
        moves: 1,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "receipts pushed, two parts",
        pushes: true,
        parts: 2,
        own_ids: true,
        lost: true,
        crash: true,
        undelivered: true,
        max_resends: 1,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "most faults, one recipient",
        crash: true,
        freeze: true,
        lost: true,
        throttle: true,
        undelivered: true,
        max_resends: 1,
        resend_uncertain: true,
        moves: 1,
        requests: &[0b001],
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "recipients are cancelled and changed, leases end while their owners run",
        changes: true,
        crash: true,
        freeze: true,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "recipients are cancelled and changed, 429, UNDELIV is resent",
        requests: &[0b001],
        changes: true,
        freeze: true,
        lost: true,
        throttle: true,
        undelivered: true,
        max_resends: 1,
        ..Mix::CALM
    },
    Mix {
        name: "recipients are cancelled and changed, pause, resume, cancel",
        requests: &[0b001],
        changes: true,
        crash: true,
        freeze: true,
        lateness: true,
        moves: 2,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "recipients are cancelled and changed, batches wait for their turn",
        requests: &[0b011],
        changes: true,
        queues: true,
        admission: true,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "marks that match in part are taken back while recipients are changed",
        requests: &[0b011, 0b100],
        max_in_flight: 1,
        changes: true,
        lost: true,
        max_attempts: 2,
        ..Mix::CALM
    },
    Mix {
        name: "two recipients with one number, answers are lost, UNDELIV is resent",
        same_number: true,
        lost: true,
        crash: true,
        undelivered: true,
        max_resends: 1,
        max_attempts: 2,
        ..Mix::CALM
    },
];

//! The faults of the lab: for each, what happens and a plan of it.

mod carrier;
mod database;
mod mix;
mod people;
mod process;
mod queues;

use fastrand::Rng;

use super::{Fault, plan::Plan};

const fn fault(name: &'static str, what: &'static str, plan: fn(&mut Rng) -> Plan) -> Fault {
    Fault { name, what, plan }
}

/// See [`super::FAULTS`].
#[rustfmt::skip]
pub const ALL: &[Fault] = &[
    fault("old-environment-before-http", "an environment is frozen between mark and request until another owns the batch: it sends nothing", process::frozen_before_http),
    fault("old-environment-with-an-answer", "an environment is frozen with the carrier's answer in hand until another has released the batch: the answer counts", process::frozen_with_an_answer),
    fault("old-environment-after-a-resend", "likewise, the policy being to send again what is uncertain: its answer comes after that", process::answer_after_a_resend),
    fault("stale-recheck", "an environment is frozen with ENROUTE in hand until another has recorded DELIVRD", process::stale_recheck),
    fault("killed-anywhere", "environments of all functions die at any point and moment, at most twice in a row with one batch", process::killed_anywhere),
    fault("killed-three-times", "three owners of a batch die one after the other: it is parked, until a person has it tried again", process::killed_three_times),
    fault("two-at-once", "every message is delivered to two or three environments at the same moment", queues::two_at_once),
    fault("delivered-thrice", "every message is delivered two or three times, some late, out of order", queues::delivered_thrice),
    fault("sqs-refuses", "three entries in ten are refused", queues::sqs_refuses),
    fault("queues-purged", "all queues are purged six times, three messages in ten are lost, sweeps fail to come", queues::purged),
    fault("dead-letters", "every message fails for up to fifty minutes and ends as a dead letter", queues::dead_letters),
    fault("eventbridge-never", "the one-time schedule never fires", queues::event_never),
    fault("eventbridge-twice", "it fires four times", queues::event_twice),
    fault("eventbridge-late", "it fires up to two hours late", queues::event_late),
    fault("eventbridge-for-the-wrong-state", "it fires again and again while paused, cancelled or running, and after it was deleted", queues::event_in_the_wrong_state),
    fault("carrier-429", "many requests get 429, with and without Retry-After", carrier::throttles),
    fault("carrier-503", "many requests get 503, accepted or not", carrier::fails),
    fault("carrier-down-for-40-minutes", "no connection is taken for forty minutes", carrier::down),
    fault("carrier-down-too-long", "likewise for longer than the schedule may be late: held, then sent by a person's order", carrier::down_too_long),
    fault("carrier-swallows", "requests are accepted and never answered", carrier::swallows),
    fault("carrier-resets", "requests are accepted and reset", carrier::resets),
    fault("carrier-leaves-numbers-out", "answers leave numbers out", carrier::leaves_numbers_out),
    fault("carrier-nonsense", "requests are accepted and answered {}, [] or a web page", carrier::talks_nonsense),
    fault("carrier-slow", "answers come about when the time is up", carrier::slow),
    fault("own-ids-lost-answers", "answers are lost where the carrier takes ids of ours: nobody stays UNCERTAIN", carrier::own_ids_lost_answers),
    fault("own-ids-killed-in-flight", "environments die where the carrier takes ids of ours: nobody stays UNCERTAIN", carrier::own_ids_killed),
    fault("uncertain-resend", "answers are lost and the policy is to send again", carrier::uncertain_resend),
    fault("status-down-for-an-hour", "no status can be asked for an hour", carrier::status_down),
    fault("status-nonsense", "statuses are web pages, errors, or unknown words", carrier::status_nonsense),
    fault("unknown-after-24h", "the carrier never knows more than UNKNOWN or ENROUTE: closed UNKNOWN, never sent again", carrier::unknown_for_ever),
    fault("undeliv-resends", "four messages in ten fail and are sent again", carrier::undeliv),
    fault("cancel-races", "a schedule is cancelled at any point of its way", people::cancels),
    fault("pause-resume-races", "a schedule is paused and resumed at any points of its way", people::pauses),
    fault("append-races", "recipients are appended while it is cut", people::appends),
    fault("reschedule-races", "its time is changed while it is cut", people::reschedules),
    fault("long-texts", "texts of three parts with lost answers, numbers left out and failures", carrier::long_texts),
    fault("database-cut", "connections to the database break at any point, and sometimes it is gone for minutes", database::cut),
    fault("database-locks", "somebody else holds the rows: deadlocks and lock-wait time-outs", database::locks),
    fault("mix", "everything at random", mix::everything),
];

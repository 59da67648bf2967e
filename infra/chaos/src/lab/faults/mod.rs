//! The faults of the lab. Each is one file, and one line of this table.

mod common;
#[cfg(test)]
mod tests;

use super::fault::Fault;
use crate::registry::fault_table;

fault_table! {
    process {
        old_environment_before_http,
        old_environment_with_an_answer,
        old_environment_after_a_resend,
        stale_recheck,
        killed_anywhere,
        killed_three_times,
        copies_killed,
        recheck_killed,
        canary,
        canary_failed,
    }
    queues {
        two_at_once,
        delivered_thrice,
        sqs_refuses,
        queues_purged,
        dead_letters,
        dead_letters_everywhere,
        workers_throttled,
    }
    eventbridge {
        eventbridge_never,
        eventbridge_twice,
        eventbridge_late,
        eventbridge_for_the_wrong_state,
        dispatch_throttled,
        dispatch_throttled_too_long,
    }
    carrier {
        carrier_429,
        carrier_503,
        carrier_down_for_40_minutes,
        carrier_down_too_long,
        carrier_swallows,
        carrier_resets,
        carrier_leaves_numbers_out,
        carrier_nonsense,
        carrier_slow,
        carrier_takes_seconds,
        carrier_delivers_less,
        own_ids_lost_answers,
        own_ids_killed_in_flight,
        uncertain_resend,
        status_down_for_an_hour,
        status_nonsense,
        unknown_after_24h,
        undeliv_resends,
        long_texts,
    }
    capacity {
        limit_changed,
        limit_learned,
        out_of_credit,
        budget_reached,
        fair_shares,
        outage_in_a_backlog,
        drip_paused,
        send_until,
    }
    operator {
        cancel_races,
        pause_resume_races,
        append_races,
        reschedule_races,
        sending_stopped,
        brake_races,
        recipient_races,
        resend_killed,
        marks_in_part,
        erasure,
        window_races,
        velocity_exceeded,
    }
    database {
        database_cut,
        database_locks,
        database_stalls,
        database_crowded,
    }
    webhooks {
        webhook_fails,
    }
    mixed {
        mix,
    }
}

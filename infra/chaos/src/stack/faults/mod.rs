//! The faults of the stack. Each is one file, and one line of this table.

mod common;

use super::fault::Fault;
use crate::registry::fault_table;

fault_table! {
    process {
        killed_after_claim,
        killed_after_mark,
        killed_in_flight,
        killed_before_record,
        killed_before_release,
        killed_before_enqueue,
        killed_recheck,
        killed_dispatch_after_cut,
        killed_dispatch_after_enqueue,
        killed_twice,
        timed_out,
        panicked,
        two_at_once,
        killed_three_times,
        killed_single_numbers,
    }
    queues {
        delivered_thrice,
        queues_purged,
        dead_letters,
    }
    eventbridge {
        eventbridge_never,
        eventbridge_thrice,
        eventbridge_late,
        eventbridge_paused,
        eventbridge_cancelled,
        eventbridge_old_version,
    }
    operator {
        people_cancel,
        people_pause,
        people_append,
        people_reschedule,
    }
    database {
        database_restarted,
        database_cut,
        database_gone,
        database_read_only,
        database_full,
        database_deadlocks,
        database_lock_waits,
        database_slow,
    }
    carrier {
        carrier_429,
        carrier_429_retry_after,
        carrier_503,
        carrier_gone,
        carrier_swallows,
        carrier_resets,
        carrier_cut_short,
        carrier_leaves_out,
        carrier_nonsense,
        carrier_slow,
        carrier_status_down,
        carrier_undeliv,
    }
    mixed {
        mix,
    }
}

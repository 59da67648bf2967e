//! Production's settings, as the lab uses them.

use std::time::Duration;

use chrono::TimeDelta;
use shared::{batch::release::Timing, platform::backoff::Backoff};
use sqlx::{
    MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

/// Full requests in flight: production's.
pub const IN_FLIGHT: usize = 2;
/// Production's: the function's time-out, and ten seconds.
pub const LEASE: Duration = Duration::from_secs(70);
/// Time-out of opening a connection to the database. Real time, shorter than production's.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);
/// Time reserved for recording. Real time, like the time-outs. Production's is five seconds, which
/// no answer in the lab takes.
const RECORDING: Duration = Duration::from_millis(500);

/// Returns production's waits, for invocations with that real time budget.
pub fn backoff(budget: Duration) -> Backoff {
    let lease_margin = TimeDelta::from_std(LEASE.saturating_sub(budget)).unwrap_or_default();
    Backoff {
        recording_share: RECORDING,
        lease_margin,
        ..Backoff::default()
    }
}

/// Returns production's times of rechecks and resends.
pub fn timing(budget: Duration) -> Timing {
    Timing {
        recheck_delays: [10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600]
            .map(Duration::from_secs)
            .to_vec(),
        recheck_deadline: TimeDelta::hours(23),
        resend_delay: TimeDelta::seconds(300),
        quiet_time: TimeDelta::seconds(300),
        backoff: backoff(budget),
    }
}

/// Returns a pool as a function has it, with a time-out that is as short as the others of the lab.
pub fn pool(options: &MySqlConnectOptions, timeout: Duration) -> MySqlPool {
    let pool = MySqlPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(timeout);
    // The server's default of 50 s would pass in real time. 1 s is the minimum.
    let pool = pool.after_connect(|connection, _| {
        Box::pin(async move {
            sqlx::query("SET SESSION innodb_lock_wait_timeout = 1")
                .execute(connection)
                .await
                .map(drop)
        })
    });
    pool.connect_lazy_with(options.clone())
}

//! Watches a schedule through the API until it is over.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;
use uuid::Uuid;

use crate::api::{Api, Schedule};

/// The time between two requests.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// How long the API may be unavailable, for example during a deployment or on a busy machine.
const MAX_UNAVAILABLE: Duration = Duration::from_secs(30);

/// Statuses of recipients that are not final.
const NOT_FINAL: [&str; 4] = ["PENDING", "SENDING", "ACCEPTD", "ENROUTE"];

/// Returns whether nothing more will happen without an operator. A running schedule whose messages
/// are all final is not over: an UNDELIV message may be sent again.
pub fn is_over(schedule: &Schedule) -> bool {
    match schedule.status.as_str() {
        // A missed schedule waits for an operator.
        "finished" | "missed" => true,
        "cancelled" => NOT_FINAL.iter().all(|status| schedule.count(status) == 0),
        _ => false,
    }
}

/// Waits until the schedule is over. Fails if nothing changes for `stall_timeout` after its time,
/// or if the API is unavailable. Calls `observe` with each response.
pub async fn until_over(
    api: &Api,
    id: Uuid,
    stall_timeout: Duration,
    mut observe: impl FnMut(&Schedule),
) -> anyhow::Result<Schedule> {
    let mut last: Option<Schedule> = None;
    let (mut changed, mut reached) = (Instant::now(), Instant::now());
    loop {
        match api.schedule(id).await {
            Ok(schedule) => {
                reached = Instant::now();
                observe(&schedule);
                if is_over(&schedule) {
                    return Ok(schedule);
                }
                let is_before_run_at = chrono::Utc::now() < schedule.run_at;
                if is_before_run_at || last.as_ref() != Some(&schedule) {
                    changed = Instant::now();
                    last = Some(schedule);
                }
            }
            Err(error) if reached.elapsed() > MAX_UNAVAILABLE => return Err(error),
            Err(_) => {}
        }
        if changed.elapsed() > stall_timeout {
            bail!(
                "nothing has changed for {} s: {}",
                stall_timeout.as_secs(),
                describe_stall(last.as_ref())
            );
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn describe_stall(schedule: Option<&Schedule>) -> String {
    let Some(schedule) = schedule else {
        return "the API has never responded".to_owned();
    };
    let counts: Vec<_> = schedule
        .counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .collect();
    let counts: Vec<_> = counts
        .iter()
        .map(|(status, count)| format!("{status} {count}"))
        .collect();
    format!(
        "schedule {} is {}, with {}",
        schedule.id,
        schedule.status,
        counts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn schedule(status: &str, counts: &[(&str, u64)]) -> Schedule {
        Schedule {
            id: Uuid::nil(),
            status: status.to_owned(),
            version: 1,
            run_at: DateTime::UNIX_EPOCH,
            counts: counts
                .iter()
                .map(|&(status, count)| (status.to_owned(), count))
                .collect(),
            recipients: crate::api::Totals::default(),
            dispatched_by: None,
        }
    }

    #[test]
    fn a_schedule_is_over_when_nothing_more_will_happen() {
        let table = [
            ("finished", vec![("DELIVRD", 1), ("UNCERTAIN", 1)], true),
            ("running", vec![("DELIVRD", 1)], false),
            ("running", vec![("UNDELIV", 1)], false),
            ("scheduled", vec![("PENDING", 1)], false),
            ("paused", vec![("DELIVRD", 1)], false),
            ("cancelled", vec![("PENDING", 1), ("CANCELLED", 1)], false),
            ("cancelled", vec![("ENROUTE", 1), ("CANCELLED", 1)], false),
            ("cancelled", vec![("CANCELLED", 2)], true),
            ("missed", vec![("DELIVRD", 2), ("PENDING", 1)], true),
        ];
        for (status, counts, expected) in table {
            assert_eq!(
                is_over(&schedule(status, &counts)),
                expected,
                "{status} {counts:?}"
            );
        }
    }

    #[test]
    fn a_stall_is_described() {
        let text = describe_stall(Some(&schedule(
            "running",
            &[("ENROUTE", 3), ("DELIVRD", 0)],
        )));
        assert!(text.ends_with("is running, with ENROUTE 3"), "{text}");
    }
}

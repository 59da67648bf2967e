//! Watching a schedule through the API until nothing more will happen.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;
use uuid::Uuid;

use crate::api::{Api, Schedule};

/// Between two looks.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// The API may be out of reach for a moment: a function is deployed, a machine is busy.
const OUT_OF_REACH: Duration = Duration::from_secs(30);

/// States of recipients for which something is still to happen.
const OPEN: [&str; 4] = ["PENDING", "SENDING", "ACCEPTD", "ENROUTE"];

/// Whether nothing more will happen by itself. A running schedule with all its messages final isn't at its end: an UNDELIV may
/// be sent again.
pub fn is_over(schedule: &Schedule) -> bool {
    match schedule.status.as_str() {
        // What was missed waits for a person.
        "finished" | "missed" => true,
        "cancelled" => OPEN.iter().all(|status| schedule.count(status) == 0),
        _ => false,
    }
}

/// Waits until the schedule is over. Fails when nothing changes for `patience` after its time, or the API is out of reach.
/// Each look is given to `see`.
pub async fn until_over(
    api: &Api,
    id: Uuid,
    backoff: Duration,
    mut see: impl FnMut(&Schedule),
) -> anyhow::Result<Schedule> {
    let mut last: Option<Schedule> = None;
    let (mut changed, mut reached) = (Instant::now(), Instant::now());
    loop {
        match api.schedule(id).await {
            Ok(schedule) => {
                reached = Instant::now();
                see(&schedule);
                if is_over(&schedule) {
                    return Ok(schedule);
                }
                let before_its_time = chrono::Utc::now() < schedule.run_at;
                if before_its_time || last.as_ref() != Some(&schedule) {
                    changed = Instant::now();
                    last = Some(schedule);
                }
            }
            Err(error) if reached.elapsed() > OUT_OF_REACH => return Err(error),
            Err(_) => {}
        }
        if changed.elapsed() > backoff {
            bail!(
                "nothing has changed for {} s: {}",
                backoff.as_secs(),
                standstill(last.as_ref())
            );
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn standstill(schedule: Option<&Schedule>) -> String {
    let Some(schedule) = schedule else {
        return "the API has never answered".to_owned();
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
    fn a_standstill_is_described() {
        let text = standstill(Some(&schedule(
            "running",
            &[("ENROUTE", 3), ("DELIVRD", 0)],
        )));
        assert!(text.ends_with("is running, with ENROUTE 3"), "{text}");
    }
}

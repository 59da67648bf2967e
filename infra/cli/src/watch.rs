//! `watch`: shows a schedule until it is over.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{
    client::{Call, Client},
    failure::{Failure, INCOMPLETE},
    options::Watched,
    output::{Output, Progress},
    schedules::counts,
};

/// The time between two requests.
const INTERVAL: Duration = Duration::from_secs(2);
/// States of recipients in which something is left to do.
const OPEN: [&str; 4] = ["PENDING", "SENDING", "ACCEPTD", "ENROUTE"];

/// Executes the command. A schedule that ends complete is 0, any other end 4.
pub async fn watch(client: &mut Client, watched: &Watched, output: Output) -> Result<u8, Failure> {
    let begun = Instant::now();
    let mut progress = Progress::new(output);
    loop {
        let path = format!("/v1/schedules/{}", watched.id);
        let schedule = client.json(Call::get(path)).await?;
        let total = schedule["recipients"]["total"].as_u64().unwrap_or_default();
        let status = schedule["status"].as_str().unwrap_or_default().to_owned();
        let done = total.saturating_sub(open(&schedule));
        progress.show(done, total, &format!("{status}: {}", counts(&schedule)));
        let is_late = watched
            .timeout
            .is_some_and(|timeout| begun.elapsed().as_secs() >= timeout);
        let code = exit_code(&schedule);
        if code.is_some() || is_late {
            drop(progress);
            output.answer(&schedule, || end(&schedule));
            return Ok(code.unwrap_or(INCOMPLETE));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Returns how many recipients are not final.
fn open(schedule: &Value) -> u64 {
    let counts = &schedule["counts"];
    let counts = OPEN
        .iter()
        .map(|status| counts[*status].as_u64().unwrap_or_default());
    counts.sum()
}

/// Returns the exit code if nothing more happens without a person.
fn exit_code(schedule: &Value) -> Option<u8> {
    match schedule["status"].as_str()? {
        "finished" if schedule["outcome"] == "incomplete" => Some(INCOMPLETE),
        "finished" => Some(0),
        "missed" => Some(INCOMPLETE),
        "cancelled" if open(schedule) == 0 => Some(INCOMPLETE),
        _ => None,
    }
}

fn end(schedule: &Value) -> String {
    let text = |name: &str| schedule[name].as_str().unwrap_or_default().to_owned();
    let outcome = match text("outcome") {
        outcome if outcome.is_empty() => text("status"),
        outcome => format!("{}, {outcome}", text("status")),
    };
    format!("{outcome}: {}", counts(schedule))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_exit_code_says_how_it_ended() {
        let table = [
            ("finished", Some("complete"), 0, Some(0)),
            ("finished", Some("incomplete"), 0, Some(INCOMPLETE)),
            ("missed", None, 3, Some(INCOMPLETE)),
            ("cancelled", None, 0, Some(INCOMPLETE)),
            ("cancelled", None, 1, None),
            ("running", None, 0, None),
            ("paused", None, 3, None),
            ("scheduled", None, 3, None),
        ];
        for (status, outcome, pending, expected) in table {
            let schedule = json!({"status": status, "outcome": outcome, "counts": {"PENDING": pending, "DELIVRD": 9}});
            assert_eq!(exit_code(&schedule), expected, "{schedule}");
        }
    }

    #[test]
    fn the_end_is_told_with_its_counts() {
        let schedule = json!({"status": "finished", "outcome": "complete", "counts": {"DELIVRD": 2, "PENDING": 0}});
        assert_eq!(end(&schedule), "finished, complete: DELIVRD 2");
    }
}

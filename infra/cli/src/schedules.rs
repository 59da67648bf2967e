//! `list` and `show`.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Call, Client},
    failure::Failure,
    options::Filter,
    output::Output,
};

/// Schedules of a page.
const PAGE: u32 = 100;

/// Lists schedules, over as many pages as it needs.
pub async fn list(client: &mut Client, filter: &Filter, output: Output) -> Result<u8, Failure> {
    let mut schedules = Vec::new();
    let mut cursor: Option<String> = None;
    let limit = filter.limit as usize;
    while schedules.len() < limit {
        let left = (limit - schedules.len()) as u32;
        let call = Call::get("/v1/schedules")
            .query("status", filter.status.as_ref())
            .query("label", filter.label.as_ref())
            .query("search", filter.search.as_ref())
            .query("limit", Some(left.min(PAGE)))
            .query("cursor", cursor.as_ref());
        let mut page = client.json(call).await?;
        if let Value::Array(found) = page["schedules"].take() {
            schedules.extend(found);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    output.answer(&json!({"schedules": &schedules}), || {
        let lines: Vec<_> = schedules.iter().map(line).collect();
        lines.join("\n")
    });
    Ok(0)
}

/// Shows a schedule.
pub async fn show(client: &mut Client, id: Uuid, output: Output) -> Result<u8, Failure> {
    let schedule = client
        .json(Call::get(format!("/v1/schedules/{id}")))
        .await?;
    output.answer(&schedule, || description(&schedule));
    Ok(0)
}

/// Returns a schedule in a line.
pub fn line(schedule: &Value) -> String {
    let text = |name: &str| schedule[name].as_str().unwrap_or("-");
    let people = schedule["recipients"]["total"].as_u64().unwrap_or_default();
    format!(
        "{}  {:<9}  {}  {people:>8}  {}",
        text("id"),
        text("status"),
        text("run_at"),
        text("name")
    )
}

/// Returns the counts that are not 0.
pub fn counts(schedule: &Value) -> String {
    let counts = schedule["counts"].as_object().into_iter().flatten();
    let counts = counts.filter(|(_, count)| **count != 0);
    let counts: Vec<_> = counts
        .map(|(status, count)| format!("{status} {count}"))
        .collect();
    counts.join(", ")
}

fn description(schedule: &Value) -> String {
    let mut lines = vec![
        line(schedule),
        format!(
            "text    {}",
            schedule["message"].as_str().unwrap_or_default()
        ),
    ];
    for (name, label) in [
        ("outcome", "outcome"),
        ("reason", "reason"),
        ("pause_reason", "paused "),
    ] {
        lines.extend(
            schedule[name]
                .as_str()
                .map(|value| format!("{label} {value}")),
        );
    }
    if let Some(end) = schedule["forecast"]["planned_end"].as_str() {
        let start = schedule["forecast"]["planned_start"]
            .as_str()
            .unwrap_or("?");
        lines.push(format!("planned from {start} to {end}"));
    }
    lines.push(format!("counts  {}", counts(schedule)));
    lines.extend(durations(schedule));
    let kinds = schedule["attention"]["kinds"].as_array();
    let kinds: Vec<_> = kinds
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !kinds.is_empty() {
        lines.push(format!("needs an operator: {}", kinds.join(", ")));
    }
    lines.join("\n")
}

/// Returns how long the messages of a finished schedule took, if that is computed and there are any.
fn durations(schedule: &Value) -> Vec<String> {
    let line = |(member, label): (&str, &str)| {
        let duration = &schedule["summary"][member];
        let seconds = |name: &str| duration[name].as_f64().map(|ms| ms / 1_000.0);
        let (p50, p99, max) = (seconds("p50")?, seconds("p99")?, seconds("max")?);
        Some(format!(
            "{label}: half within {p50:.1} s, 99 % within {p99:.1} s, all within {max:.1} s"
        ))
    };
    let both = [
        ("due_to_sent_ms", "due to sent"),
        ("sent_to_final_ms", "sent to final"),
    ];
    both.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_shown_with_what_matters() {
        let schedule = json!({"id": "1", "status": "paused", "run_at": "T", "name": null, "message": "Hi",
            "recipients": {"total": 7}, "counts": {"DELIVRD": 5, "PENDING": 0, "UNCERTAIN": 2},
            "attention": {"kinds": ["uncertain", "paused"], "uncertain": 2, "parked_batches": 0}, "reason": "price"});
        let text = description(&schedule);
        let expected = "1  paused     T         7  -\ntext    Hi\nreason price\ncounts  DELIVRD 5, UNCERTAIN 2\n\
            needs an operator: uncertain, paused";
        assert_eq!(text, expected);
        let calm = json!({"attention": {"kinds": [], "uncertain": 0}});
        assert!(!description(&calm).contains("operator"));
    }

    #[test]
    fn a_finished_schedule_is_shown_with_how_long_its_messages_took() {
        let none = json!({"p50": null, "p99": null, "max": null, "count": 0});
        let due = json!({"p50": 214, "p99": 958, "max": 1_003, "count": 5});
        let lines = |summary: Value| durations(&json!({"summary": summary}));
        assert_eq!(
            lines(json!({"due_to_sent_ms": due, "sent_to_final_ms": none})),
            ["due to sent: half within 0.2 s, 99 % within 1.0 s, all within 1.0 s"]
        );
        let both = json!({"due_to_sent_ms": due, "sent_to_final_ms": due});
        assert_eq!(lines(both).len(), 2);
        assert!(lines(json!(null)).is_empty(), "it is not computed yet");
    }
}

//! What became of a list: the answers of its calls, added up, and told to people.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Call, Client},
    failure::Failure,
    list::Piece,
    output::Output,
    problem,
};

/// Refused entries that are shown, at most.
const SHOWN: usize = 20;
/// What is added up over the calls.
const SUMS: [&str; 7] = [
    "accepted",
    "valid",
    "duplicates",
    "suppressed",
    "invalid_count",
    "parts_total",
    "calls",
];

/// Adds the answer of a call to those before. Positions become those of the file.
pub fn add(total: &mut Value, mut answer: Value, piece: &Piece) {
    answer["calls"] = json!(1);
    total["are_lines"] = json!(piece.positions.are_lines);
    if answer["dry_run"] == true {
        total["dry_run"] = json!(true);
        total["accepted"] = json!(total["accepted"] != false && answer["accepted"] == true);
    }
    for name in SUMS {
        if let Some(count) = answer[name].as_u64() {
            total[name] = json!(total[name].as_u64().unwrap_or_default() + count);
        }
    }
    for name in ["samples", "longest"] {
        if total[name].is_null() && !answer[name].is_null() {
            total[name] = answer[name].take();
        }
    }
    let Some(Value::Array(entries)) = answer.get_mut("invalid").map(Value::take) else {
        return;
    };
    let Some(invalid) = total["invalid"].as_array_mut() else {
        return;
    };
    for mut entry in entries {
        if let Some(position) = entry["position"].as_u64() {
            entry["position"] = json!(piece.positions.place(position));
        }
        invalid.push(entry);
    }
}

/// Prints the result of a dry run; returns the exit code.
pub fn of_dry_run(total: &Value, output: Output) -> u8 {
    output.answer(total, || {
        let mut lines = vec![summary(total)];
        lines.extend(samples(total));
        lines.push("nothing is sent: a dry run".to_owned());
        lines.join("\n")
    });
    u8::from(total["accepted"] != true)
}

/// Returns what became of the list, for people.
pub fn summary(total: &Value) -> String {
    let count = |name: &str| total[name].as_u64().unwrap_or_default();
    let taken = total["valid"].as_u64().unwrap_or_else(|| count("accepted"));
    let (duplicates, refused) = (count("duplicates"), count("invalid_count"));
    let mut first = format!("{taken} recipients, {duplicates} duplicates, {refused} invalid");
    if total["dry_run"] == true {
        let (suppressed, parts) = (count("suppressed"), count("parts_total"));
        first = format!("{first}, {suppressed} opted out, {parts} message parts");
    }
    let mut lines = vec![first];
    let invalid = total["invalid"].as_array().map_or(&[][..], Vec::as_slice);
    let positions = problem::Positions {
        are_lines: total["are_lines"] != false,
        ..problem::Positions::default()
    };
    let shown = invalid.iter().take(SHOWN);
    lines.extend(shown.map(|entry| format!("  {}", problem::describe(entry, positions))));
    let more = refused.saturating_sub(invalid.len().min(SHOWN) as u64);
    if more > 0 {
        lines.push(format!("  … and {more} more invalid"));
    }
    lines.join("\n")
}

fn samples(answer: &Value) -> Vec<String> {
    let samples = answer["samples"].as_array().into_iter().flatten();
    let word = |sample: &Value, name: &str| sample[name].as_str().unwrap_or_default().to_owned();
    let samples =
        samples.map(|sample| format!("  {} ← {}", word(sample, "phone"), word(sample, "text")));
    samples.collect()
}

/// Returns a line for each budget that a schedule exceeds.
fn exceeded(answer: &Value) -> Vec<String> {
    let budgets = answer["exceeded_budgets"].as_array().into_iter().flatten();
    let text = |budget: &Value, name: &str| budget[name].as_str().unwrap_or_default().to_owned();
    let budgets = budgets.map(|budget| {
        let effect = match text(budget, "effect").as_str() {
            "refuse" => "it cannot be started",
            _ => "it will be paused",
        };
        format!(
            "the budget of {} has {} {} left this {}, and it needs {}: {effect}",
            text(budget, "scope"),
            text(budget, "left"),
            text(budget, "unit"),
            text(budget, "period"),
            text(budget, "needed"),
        )
    });
    budgets.collect()
}

/// `preview`: shows what a draft or a scheduled list would send.
pub async fn preview(client: &mut Client, id: Uuid, output: Output) -> Result<u8, Failure> {
    let call = Call::post(format!("/v1/schedules/{id}/dry-run"));
    let answer = client.json(call).await?;
    output.answer(&answer, || {
        let count = |name: &str| answer[name].as_u64().unwrap_or_default();
        let time = |name: &str| answer[name].as_str().unwrap_or("not known yet").to_owned();
        let counts = format!(
            "{} recipients, {} opted out, {} message parts",
            count("recipients"),
            count("suppressed"),
            count("parts_total")
        );
        let times = format!("from {} to {}", time("planned_start"), time("planned_end"));
        let mut lines = vec![counts, times];
        lines.extend(exceeded(&answer));
        lines.extend(samples(&answer));
        lines.join("\n")
    });
    Ok(u8::from(answer["accepted"] != true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Positions;

    #[test]
    fn the_answers_of_several_calls_are_added_up() {
        let piece = |offset| Piece {
            text: Vec::new(),
            positions: Positions {
                head: 1,
                offset,
                are_lines: true,
            },
            rows: 2,
        };
        let answer = |position: u64| {
            json!({"accepted": 2, "duplicates": 1, "invalid_count": 1,
            "invalid": [{"position": position, "input": "12", "detail": "too short"}]})
        };
        let mut total = json!({"invalid": []});
        add(&mut total, answer(3), &piece(0));
        add(&mut total, answer(2), &piece(100));
        assert_eq!(
            summary(&total),
            "4 recipients, 2 duplicates, 2 invalid\n  line 3 “12”: too short\n  line 102 “12”: too short"
        );
        assert_eq!(total["calls"], 2);
    }

    #[test]
    fn each_budget_that_is_exceeded_is_named_with_its_effect() {
        let budget = |effect: &str| json!({"scope": "system", "period": "day", "unit": "parts", "left": "10", "needed": "12", "effect": effect});
        let lines = exceeded(&json!({"exceeded_budgets": [budget("refuse"), budget("pause")]}));
        assert_eq!(
            lines[0],
            "the budget of system has 10 parts left this day, and it needs 12: it cannot be started"
        );
        assert!(lines[1].ends_with("it will be paused"));
        assert!(exceeded(&json!({"exceeded_budgets": []})).is_empty());
    }

    #[test]
    fn a_dry_run_is_accepted_if_each_of_its_calls_would_be() {
        let piece = Piece {
            text: Vec::new(),
            positions: Positions::default(),
            rows: 1,
        };
        for (calls, expected) in [
            (&[true, true][..], true),
            (&[true, false, true], false),
            (&[false], false),
        ] {
            let mut total = json!({"invalid": []});
            for accepted in calls {
                add(
                    &mut total,
                    json!({"dry_run": true, "accepted": accepted}),
                    &piece,
                );
            }
            assert_eq!(total["accepted"], expected, "{calls:?}");
        }
    }
}

//! `attention`: what needs an operator, with the calls that resolve it.

use serde_json::Value;

use crate::{
    client::{Call, Client},
    failure::Failure,
    output::Output,
};

/// Executes the command: all kinds, or one.
pub async fn show(client: &mut Client, kind: Option<&str>, output: Output) -> Result<u8, Failure> {
    let path = kind.map_or("/v1/attention".to_owned(), |kind| {
        format!("/v1/attention/{kind}")
    });
    let answer = client.json(Call::get(path)).await?;
    output.answer(&answer, || match answer["kinds"].as_object() {
        Some(kinds) => {
            let kinds = kinds.iter().filter(|(_, list)| list["count"] != 0);
            let kinds: Vec<_> = kinds.map(|(name, list)| of_kind(name, list)).collect();
            if kinds.is_empty() {
                "nothing needs an operator".to_owned()
            } else {
                kinds.join("\n")
            }
        }
        None => of_kind(kind.unwrap_or_default(), &answer),
    });
    Ok(0)
}

fn of_kind(name: &str, list: &Value) -> String {
    let mut lines = vec![match list["count"].as_u64() {
        Some(count) => format!("{name}: {count}"),
        None => format!("{name}:"),
    }];
    let entries = list["entries"].as_array().into_iter().flatten();
    lines.extend(entries.map(entry));
    lines.join("\n")
}

fn entry(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str();
    let actions = entry["actions"].as_array().into_iter().flatten();
    let actions: Vec<_> = actions
        .filter_map(|action| action["name"].as_str())
        .collect();
    // Dead letters have no schedule; they are shown as they are.
    let Some(id) = text("schedule_id") else {
        return format!("  {entry}");
    };
    let people = entry["people"].as_u64().unwrap_or_default();
    let reason = text("reason")
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    format!("  {id}  {people} people{reason}  → {}", actions.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_says_whom_it_affects_and_what_can_be_done() {
        let list = json!({"count": 1, "entries": [{"schedule_id": "a", "people": 3, "reason": "price",
            "actions": [{"name": "resume"}, {"name": "cancel"}]}]});
        assert_eq!(
            of_kind("paused", &list),
            "paused: 1\n  a  3 people: price  → resume, cancel"
        );
    }
}

//! Schedules with several recipients for one number, and the comparison with the ledger, number by
//! number. The proof compares them by message id.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::Row;
use uuid::Uuid;

use super::world::World;

/// Returns so many entries with these numbers in turn, each with a reference of its own.
pub fn entries(numbers: &[String], count: u32) -> Value {
    let entry =
        |(place, phone): (u32, &String)| json!({"phone": phone, "reference": format!("R{place}")});
    (1..=count).zip(numbers.iter().cycle()).map(entry).collect()
}

/// What the rows say about the messages to a number.
#[derive(Clone, Copy, Debug, Default)]
struct Messages {
    recipients: u64,
    /// Those that the carrier has accepted.
    accepted: u64,
    /// Those that it may have accepted.
    uncertain: u64,
}

/// Reports numbers with more or fewer acceptances than their rows explain. Without resends each
/// recipient has one message.
pub async fn problems(world: &World, schedule: Uuid) -> anyhow::Result<Vec<String>> {
    if world.plan.copies < 2 {
        return Ok(Vec::new());
    }
    let sql = "SELECT TRIM(LEADING '+' FROM phone) AS phone, CAST(COUNT(*) AS UNSIGNED) AS recipients,
            CAST(SUM(message_id IS NOT NULL) AS UNSIGNED) AS accepted, CAST(SUM(status = 'UNCERTAIN') AS UNSIGNED) AS uncertain
        FROM recipients WHERE schedule_id = ? GROUP BY phone";
    let rows = sqlx::query(sql)
        .bind(schedule)
        .fetch_all(&world.pool)
        .await?;
    let mut numbers = HashMap::new();
    for row in rows {
        let messages = Messages {
            recipients: row.try_get("recipients")?,
            accepted: row.try_get("accepted")?,
            uncertain: row.try_get("uncertain")?,
        };
        numbers.insert(row.try_get::<String, _>("phone")?, messages);
    }
    let mut ledger = HashMap::<String, u64>::new();
    for line in world.simulator.carrier().ledger() {
        let number = line.dnis.trim_start_matches('+').to_owned();
        *ledger.entry(number).or_default() += 1;
    }
    let mut problems = Vec::new();
    if !numbers.values().any(|messages| messages.recipients > 1) {
        problems.push("no number has several recipients".to_owned());
    }
    for (number, messages) in numbers {
        let times = ledger.get(&number).copied().unwrap_or_default();
        if !messages.explain(times) {
            problems.push(format!("{times} acceptances of one number, {messages:?}"));
        }
    }
    Ok(problems)
}

impl Messages {
    fn explain(self, times: u64) -> bool {
        (self.accepted..=self.accepted + self.uncertain).contains(&times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_in_the_ledger_once_or_uncertain() {
        let messages = Messages {
            recipients: 3,
            accepted: 2,
            uncertain: 1,
        };
        let explained = (0..5).map(|times| messages.explain(times));
        assert_eq!(
            explained.collect::<Vec<_>>(),
            [false, false, true, true, false]
        );
    }

    #[test]
    fn numbers_take_turns_and_references_differ() {
        let numbers = ["+1".to_owned(), "+2".to_owned()];
        let entries = entries(&numbers, 3);
        let phones: Vec<_> = (0..3).map(|at| entries[at]["phone"].as_str()).collect();
        assert_eq!(phones, [Some("+1"), Some("+2"), Some("+1")]);
        assert_eq!(entries[2]["reference"], "R3");
    }
}

//! The field `canary`: the first recipients of a list, after which the rest waits until enough of them
//! are DELIVRD (`shared/src/batch/canary.rs` decides).

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::schedule::canary::{Canary, CanaryFigures, CanaryOutcome, CanaryRule, count_canary};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{http::fields::Fields, openapi::operation::object};

/// How many recipients a canary may have: each decision counts them.
const RECIPIENTS: RangeInclusive<u32> = 1..=100_000;
/// From a minute to an hour less than the day for which the carrier remembers messages.
const WITHIN_S: RangeInclusive<u32> = 60..=82_800;
const DEFAULT_SHARE: f64 = 0.9;
const DEFAULT_WITHIN_S: u32 = 600;

const EXPECTED: &str =
    r#"an object such as {"recipients": 100, "delivered_share": 0.9, "within_s": 600}"#;

/// Reads the field, if given. Every wrong member becomes an error.
pub fn read(fields: &mut Fields) -> Option<CanaryRule> {
    let given = fields.raw("canary")?;
    let Ok(mut members) = Fields::read(given.get().as_bytes()) else {
        fields.complain("canary", "wrong-type", format!("expected {EXPECTED}"));
        return None;
    };
    let recipients = members.number("recipients", RECIPIENTS);
    members.require(
        "recipients",
        "the number of recipients who are sent to first",
    );
    let share = share(&mut members);
    let within_s = members.number("within_s", WITHIN_S);
    let errors = members.finish();
    let is_valid = errors.is_empty();
    for error in errors {
        fields.complain(&format!("canary.{}", error.field), error.code, error.detail);
    }
    let rule = CanaryRule {
        recipients: recipients?,
        delivered_thousandths: share?,
        within_s: within_s.unwrap_or(DEFAULT_WITHIN_S),
    };
    is_valid.then_some(rule)
}

/// Reads the share in thousandths.
fn share(members: &mut Fields) -> Option<u32> {
    const SHARE: &str = "a number from 0.001 to 1";
    let given = members.read_as("delivered_share", SHARE);
    let share = given.unwrap_or(DEFAULT_SHARE);
    if (0.001..=1.0).contains(&share) {
        return Some((share * 1000.0).round() as u32);
    }
    members.complain(
        "delivered_share",
        "out-of-range",
        format!("expected {SHARE}"),
    );
    None
}

/// Returns the schema of the field that [`read`] reads.
pub fn schema() -> Value {
    let members = json!({
        "recipients": {"type": "integer", "minimum": RECIPIENTS.start(), "maximum": RECIPIENTS.end(), "description": "How many recipients are sent to first."},
        "delivered_share": {"type": ["number", "null"], "minimum": 0.001, "maximum": 1, "default": DEFAULT_SHARE,
            "description": "The share of them that has to become DELIVRD, in thousandths."},
        "within_s": {"type": ["integer", "null"], "minimum": WITHIN_S.start(), "maximum": WITHIN_S.end(), "default": DEFAULT_WITHIN_S,
            "description": "Seconds after the last of them was sent in which that has to happen."},
    });
    let mut schema = object(members, &["recipients"]);
    schema["title"] = json!("NewCanary");
    schema["description"] = json!(
        "The first recipients are sent to; the rest waits until enough of them are DELIVRD, else the schedule is paused."
    );
    schema
}

/// The canary of a schedule, and what has become of it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ScheduleCanary")]
pub struct CanaryView {
    /// How many recipients are sent to first.
    pub recipients: u32,
    /// The share of them that has to become DELIVRD.
    pub delivered_share: f64,
    /// Seconds after the last of them was sent in which that has to happen.
    pub within_s: u32,
    /// `waiting`: it is not decided. `passed`; `failed`: the schedule is paused; `released`: it was
    /// resumed after that; `ended`: the end of the schedule came first.
    #[schemars(extend("title" = "CanaryState", "enum" = STATES))]
    pub state: &'static str,
    /// Those who count and are DELIVRD; at the decision, if it is made.
    pub delivered: u64,
    /// Those who have ended otherwise.
    pub failed: u64,
    /// Those without a final state.
    pub undecided: u64,
    /// When its time is up; null until all of it is sent.
    pub deadline: Option<DateTime<Utc>>,
    /// When it was decided.
    pub decided_at: Option<DateTime<Utc>>,
}

const STATES: [&str; 5] = ["waiting", "passed", "failed", "released", "ended"];

impl CanaryView {
    /// Builds the view. The figures of a canary that is not decided are counted; a list of schedules
    /// shows none.
    pub fn new(canary: &Canary, counted: Option<CanaryFigures>) -> Self {
        let figures = canary.decided.or(counted).unwrap_or_default();
        Self {
            recipients: canary.rule.recipients,
            delivered_share: f64::from(canary.rule.delivered_thousandths) / 1000.0,
            within_s: canary.rule.within_s,
            state: canary.outcome.map_or("waiting", CanaryOutcome::as_str),
            delivered: figures.delivered,
            failed: figures.failed,
            undecided: figures.undecided,
            deadline: canary.deadline(),
            decided_at: canary.decided_at,
        }
    }
}

/// Reads the figures of a canary that is being sent and not decided.
pub async fn current_figures(
    connection: &mut MySqlConnection,
    canary: &Canary,
) -> sqlx::Result<Option<CanaryFigures>> {
    match (canary.outcome, canary.last_seq) {
        (None, Some(last_seq)) => count_canary(connection, canary.schedule_id, last_seq)
            .await
            .map(Some),
        _ => Ok(None),
    }
}

/// Writes the canary of a schedule that has not been cut, or removes it.
pub async fn write_canary(
    connection: &mut MySqlConnection,
    id: Uuid,
    rule: Option<&CanaryRule>,
) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM schedule_canaries WHERE schedule_id = ?", id)
        .execute(&mut *connection)
        .await?;
    let Some(rule) = rule else {
        return Ok(());
    };
    let done = sqlx::query!(
        "INSERT INTO schedule_canaries (schedule_id, recipients, delivered_share, within_s) VALUES (?, ?, ? / 1000, ?)",
        id,
        rule.recipients,
        rule.delivered_thousandths,
        rule.within_s
    );
    done.execute(connection).await.map(drop)
}

/// Releases what is held behind a canary that has failed: somebody resumes the schedule all the same.
pub async fn release_failed(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE schedules s JOIN schedule_canaries c ON c.schedule_id = s.id
         SET s.held_after = NULL, c.outcome = 'released' WHERE s.id = ? AND c.outcome = 'failed'",
        id
    );
    done.execute(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_has_a_size_a_share_and_a_time() {
        for (body, expected) in [
            (r#"{"canary": {"recipients": 50}}"#, Some((50, 900, 600))),
            (
                r#"{"canary": {"recipients": 1, "delivered_share": 1, "within_s": 60}}"#,
                Some((1, 1000, 60)),
            ),
            (
                r#"{"canary": {"recipients": 9, "delivered_share": 0.5555}}"#,
                Some((9, 556, 600)),
            ),
            (
                r#"{"canary": {"recipients": 9, "delivered_share": 0}}"#,
                None,
            ),
            (
                r#"{"canary": {"recipients": 9, "delivered_share": 1.1}}"#,
                None,
            ),
            (r#"{"canary": {"recipients": 9, "within_s": 59}}"#, None),
            (r#"{"canary": {"recipients": 0}}"#, None),
            (r#"{"canary": {"delivered_share": 0.5}}"#, None),
            (r#"{"canary": {"recipients": 9, "share": 0.5}}"#, None),
            (r#"{"canary": 9}"#, None),
        ] {
            let mut fields = Fields::read(body.as_bytes()).unwrap();
            let rule = read(&mut fields);
            let found =
                rule.map(|rule| (rule.recipients, rule.delivered_thousandths, rule.within_s));
            assert_eq!(found, expected, "{body}");
            assert_eq!(fields.finish().is_empty(), expected.is_some(), "{body}");
        }
    }
}

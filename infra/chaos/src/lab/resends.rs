//! Schedules that send again: an operator's call, in an environment of its own that may be killed
//! while it copies, and the comparison of the lists.

use std::sync::{Mutex, PoisonError};

use axum::http::Request;
use serde_json::{Value, json};
use sqlx::Row;
use uuid::Uuid;

use super::{plan::ResendFaults, world::World};

/// A call is killed at most so many milliseconds after its beginning: when it copies, or is about
/// to answer.
const KILLED_WITHIN_MS: std::ops::RangeInclusive<u64> = 0..=60;

/// The schedules that send again, as the API has named them.
#[derive(Default)]
pub struct Resends(Mutex<Vec<Uuid>>);

impl Resends {
    /// Returns their ids.
    pub fn ids(&self) -> Vec<Uuid> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, id: Uuid) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
}

/// Returns the entries of a list, each with a reference and a variable of its own.
pub fn entries(phones: Vec<String>) -> Value {
    let entry = |phone: String| json!({"reference": format!("R {phone}"), "vars": {"of": phone.clone()}, "phone": phone});
    phones.into_iter().map(entry).collect()
}

impl World {
    /// Calls `POST …/resend` in an environment of its own. Returns whether the list is complete: an
    /// operator repeats a call that was killed, one that came too early, and one that copied a part.
    pub async fn resend(&self, id: Uuid) -> anyhow::Result<bool> {
        let killed = self
            .plan
            .resends
            .map_or(0.0, |faults: ResendFaults| faults.killed);
        let kill_after = self
            .rng
            .chance(killed)
            .then(|| self.rng.millis(KILLED_WITHIN_MS));
        let request = Request::post(format!("/v1/schedules/{id}/resend"));
        let answer = self.call_in_environment(request, kill_after).await?;
        let Some((status, answer)) = answer else {
            return Ok(false);
        };
        if answer["type"] == "/problems/nothing-to-resend" {
            return Ok(true);
        }
        if status.is_success() {
            self.resends
                .add(answer["id"].as_str().unwrap_or_default().parse()?);
        }
        Ok(answer["complete"] == true)
    }
}

/// Compares what was copied with the recipients who got nothing: each once, in the order of the list,
/// with its reference and variables.
pub async fn problems(world: &World, original: Uuid) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    if world.plan.resends.is_none() {
        return Ok(problems);
    }
    let missing = rows(world, original, "r.status = 'UNDELIV'").await?;
    let known: Vec<Uuid> = sqlx::query_scalar(
        "SELECT e.schedule_id FROM schedule_resends e JOIN schedules s ON s.id = e.schedule_id
         WHERE e.resend_of = ? AND s.status <> 'cancelled'",
    )
    .bind(original)
    .fetch_all(&world.pool)
    .await?;
    let ids = world.resends.ids();
    if ids != known {
        problems.push(format!(
            "the API has named the resends {ids:?}; there are {known:?}"
        ));
    }
    let mut copied = Vec::new();
    for id in &known {
        copied.extend(rows(world, *id, "TRUE").await?);
    }
    if missing != copied {
        problems.push(format!(
            "{missing:?} got nothing; {copied:?} are sent to again"
        ));
    }
    if !missing.is_empty() && world.hooks.kills() == 0 {
        problems.push("no call was killed".to_owned());
    }
    Ok(problems)
}

/// Returns number, reference and variables of recipients, in the order of the list.
async fn rows(world: &World, id: Uuid, condition: &str) -> sqlx::Result<Vec<String>> {
    let sql = format!(
        "SELECT CONCAT_WS(' ', r.phone, n.reference, v.variables) AS line FROM recipients r
         LEFT JOIN recipient_references n ON n.schedule_id = r.schedule_id AND n.seq = r.seq
         LEFT JOIN recipient_variables v ON v.schedule_id = r.schedule_id AND v.seq = r.seq
         WHERE r.schedule_id = ? AND {condition} ORDER BY r.seq"
    );
    let rows = sqlx::query(&sql).bind(id).fetch_all(&world.pool).await?;
    rows.iter().map(|row| row.try_get("line")).collect()
}

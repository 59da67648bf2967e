//! Erasures of personal data: an operator's call in an environment that may be killed, and the sweeps
//! of the days after a run. What is erased is recorded by triggers and restored before the ledger is
//! compared with the rows: so the comparison also shows that the hashes are those of the numbers.

use std::time::Duration;

use axum::http::Request;
use chrono::TimeDelta;
use serde_json::json;
use sqlx::{FromRow, MySqlPool};
use uuid::Uuid;

use super::{
    environment::{Environment, InvocationEnd, Limits},
    function::Function,
    invocation::Invocation,
    world::World,
};

/// The most sweeps after a run. Each is killed a few times at most.
const SWEEPS: u32 = 60;
/// The time of a sweep, real time.
const SWEEP_TIME: Duration = Duration::from_secs(30);

/// Has the server record what is erased. The pool needs an administrator's rights.
pub async fn record(pool: &MySqlPool) -> sqlx::Result<()> {
    let table = "CREATE TABLE chaos_erased (
          schedule_id BINARY(16) NOT NULL, seq INT UNSIGNED NOT NULL, attempt INT UNSIGNED NOT NULL,
          phone VARCHAR(16) NULL, hash VARCHAR(16) NULL, id_start VARCHAR(512) NULL, id_rest VARCHAR(512) NULL,
          PRIMARY KEY (schedule_id, seq, attempt))";
    let numbers = "CREATE TRIGGER chaos_erased_number BEFORE UPDATE ON recipients FOR EACH ROW
        INSERT INTO chaos_erased SELECT OLD.schedule_id, OLD.seq, 0, OLD.phone, NEW.phone, OLD.id_start, OLD.id_rest
        FROM DUAL WHERE OLD.phone LIKE '+%' AND NEW.phone LIKE '#%'";
    let attempts = "CREATE TRIGGER chaos_erased_attempt BEFORE UPDATE ON attempts FOR EACH ROW
        INSERT INTO chaos_erased SELECT OLD.schedule_id, OLD.seq, OLD.attempt, NULL, NULL, OLD.message_id, NULL
        FROM DUAL WHERE OLD.message_id <> 'erased' AND NEW.message_id = 'erased'";
    for statement in [table, numbers, attempts] {
        sqlx::raw_sql(statement).execute(pool).await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct ErasedNumber {
    phone: String,
    hash: String,
}

impl World {
    /// Calls `DELETE /v1/people/{phone}` for a number of the main list, in an environment of its own.
    /// Returns whether it was answered: an operator repeats a call that was killed.
    pub async fn erase_person(&self, phone: &str) -> anyhow::Result<bool> {
        let request = Request::delete(format!("/v1/people/{phone}"));
        let answer = self.call_in_environment(request, None).await?;
        Ok(answer.is_some_and(|(status, _)| status.is_success()))
    }

    /// Lets sweeps run until all is erased that a run has left, killed as the plan says.
    async fn sweep_after_the_run(&self) -> anyhow::Result<()> {
        let days = TimeDelta::days((self.plan.retain_days + 1).into());
        self.clock.advance(days.to_std().unwrap_or_default());
        let mut environment = None;
        for sweep in 0..SWEEPS {
            let started =
                environment.map_or_else(|| Environment::start(Function::Dispatch, self), Ok)?;
            let limits = Limits {
                budget: SWEEP_TIME,
                kill_after: None,
            };
            let invocation = Invocation::new(u64::from(sweep), SWEEP_TIME);
            let end;
            (environment, end) = started
                .invoke(self, json!({"sweep": true}), invocation, limits)
                .await;
            if end == InvocationEnd::Succeeded && self.left().await?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Describes the personal data that is still there.
    async fn left(&self) -> sqlx::Result<Vec<String>> {
        let mut left = Vec::new();
        for (what, sql) in [
            (
                "schedules",
                "SELECT COUNT(*) FROM schedules WHERE personal_data_erased_at IS NULL OR message <> ''",
            ),
            (
                "numbers",
                "SELECT COUNT(*) FROM recipients WHERE phone LIKE '+%'",
            ),
            (
                "ids",
                "SELECT COUNT(*) FROM recipients WHERE id_start NOT IN ('', 'erased')",
            ),
            ("variables", "SELECT COUNT(*) FROM recipient_variables"),
            (
                "references",
                "SELECT COUNT(*) FROM recipient_references WHERE reference IS NOT NULL",
            ),
            (
                "attempts",
                "SELECT COUNT(*) FROM attempts WHERE message_id NOT IN ('', 'erased')",
            ),
        ] {
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await?;
            if count > 0 {
                left.push(format!("{count} {what}"));
            }
        }
        Ok(left)
    }

    /// Restores what was erased. Returns the number of hashes that are not those of their numbers.
    async fn restore_erased(&self) -> anyhow::Result<usize> {
        let sql = "SELECT phone, hash FROM chaos_erased WHERE attempt = 0";
        let numbers: Vec<ErasedNumber> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        let keys = self.app.webhook_keys.current();
        let wrong = numbers
            .iter()
            .filter(|erased| keys.person_hash(&erased.phone) != erased.hash);
        let wrong = wrong.count();
        for sql in [
            // Otherwise they would record the restoration.
            "DROP TRIGGER chaos_erased_number",
            "DROP TRIGGER chaos_erased_attempt",
            "UPDATE recipients r JOIN chaos_erased e ON e.schedule_id = r.schedule_id AND e.seq = r.seq AND e.attempt = 0
             SET r.phone = e.phone, r.id_start = e.id_start, r.id_rest = e.id_rest",
            "UPDATE attempts a JOIN chaos_erased e ON e.schedule_id = a.schedule_id AND e.seq = a.seq AND e.attempt = a.attempt
             SET a.message_id = e.id_start",
        ] {
            sqlx::raw_sql(sql).execute(&self.pool).await?;
        }
        sqlx::query("UPDATE schedules SET message = ? WHERE message = ''")
            .bind(&self.plan.text)
            .execute(&self.pool)
            .await?;
        Ok(wrong)
    }
}

/// Completes the erasure after a run, and restores what it has erased, so that the other checks find
/// it. Returns what is wrong.
pub async fn problems(world: &World, main: Uuid) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    if world.plan.retain_days == 0 {
        return Ok(problems);
    }
    world.sweep_after_the_run().await?;
    let left = world.left().await?;
    if !left.is_empty() {
        problems.push(format!("not erased: {}", left.join(", ")));
    }
    let erased: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM chaos_erased WHERE schedule_id = ?")
        .bind(main)
        .fetch_one(&world.pool)
        .await?;
    if erased == 0 || world.hooks.kills() == 0 {
        problems.push(format!(
            "{erased} erased, and {} environments killed: nothing is proven",
            world.hooks.kills()
        ));
    }
    let wrong = world.restore_erased().await?;
    if wrong > 0 {
        problems.push(format!("{wrong} hashes are not those of their numbers"));
    }
    Ok(problems)
}

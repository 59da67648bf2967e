//! Every change of every recipient's row, written down by a trigger of the test's own, and what of it the protocol allows: a state never
//! goes back, and final is final.

use shared::message::status::Status;
use sqlx::{MySqlPool, Row};
use uuid::Uuid;

/// Has the server write down every change of `recipients` from now on. As an administrator; twice does no harm.
pub async fn keep(pool: &MySqlPool) -> sqlx::Result<()> {
    let table = "CREATE TABLE IF NOT EXISTS chaos_steps (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, schedule_id BINARY(16) NOT NULL,
        seq INT UNSIGNED NOT NULL, old_status VARCHAR(10) NOT NULL, old_attempt INT UNSIGNED NOT NULL, new_status VARCHAR(10) NOT NULL,
        new_attempt INT UNSIGNED NOT NULL, KEY of_schedule (schedule_id))";
    let trigger = "CREATE TRIGGER chaos_step AFTER UPDATE ON recipients FOR EACH ROW
        INSERT INTO chaos_steps (schedule_id, seq, old_status, old_attempt, new_status, new_attempt)
        VALUES (OLD.schedule_id, OLD.seq, OLD.status, OLD.attempt, NEW.status, NEW.attempt)";
    for statement in [table, "DROP TRIGGER IF EXISTS chaos_step", trigger] {
        sqlx::raw_sql(statement).execute(pool).await?;
    }
    Ok(())
}

/// The changes of a schedule's recipients that the protocol does not allow, for people.
pub async fn forbidden_steps(pool: &MySqlPool, schedule_id: Uuid) -> sqlx::Result<Vec<String>> {
    let steps = "SELECT seq, old_status, old_attempt, new_status, new_attempt FROM chaos_steps WHERE schedule_id = ? ORDER BY id";
    let mut forbidden = Vec::new();
    for row in sqlx::query(steps).bind(schedule_id).fetch_all(pool).await? {
        let (old, new): (String, String) = (row.try_get("old_status")?, row.try_get("new_status")?);
        let attempts: (u32, u32) = (row.try_get("old_attempt")?, row.try_get("new_attempt")?);
        let allowed = Status::parse(&old)
            .zip(Status::parse(&new))
            .is_some_and(|states| is_allowed(states, attempts));
        if !allowed {
            let seq: u32 = row.try_get("seq")?;
            forbidden.push(format!(
                "recipient {seq} went from {old} of attempt {} to {new} of attempt {}",
                attempts.0, attempts.1
            ));
        }
    }
    Ok(forbidden)
}

/// Whether a row may go from one state to the other. Only a mark raises the attempt.
fn is_allowed((old, new): (Status, Status), (old_attempt, new_attempt): (u32, u32)) -> bool {
    use Status::{
        Acceptd, Cancelled, Enroute, Expired, Pending, Rejectd, Sending, Suppressed, Uncertain,
        Undeliv,
    };
    if new == Sending && old != Sending {
        return matches!(old, Pending | Undeliv | Expired | Uncertain)
            && new_attempt == old_attempt + 1;
    }
    let verdict = new.is_final() && !matches!(new, Cancelled | Suppressed | Status::Invalid);
    let states = match old {
        Pending => matches!(new, Cancelled | Suppressed),
        Sending => matches!(new, Pending | Uncertain | Acceptd | Rejectd),
        Uncertain => verdict || matches!(new, Pending | Acceptd | Enroute),
        Acceptd | Enroute => verdict || matches!(new, Acceptd | Enroute),
        _ => false,
    };
    (old == new || states) && new_attempt == old_attempt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_never_goes_back() {
        use Status::{
            Acceptd, Cancelled, Delivrd, Enroute, Pending, Sending, Uncertain, Undeliv, Unknown,
        };
        let table = [
            (Pending, Sending, (0, 1), true),
            (Pending, Sending, (1, 1), false),
            (Sending, Acceptd, (1, 1), true),
            (Sending, Acceptd, (1, 2), false),
            (Sending, Sending, (1, 2), false),
            (Uncertain, Pending, (1, 1), true),
            (Uncertain, Delivrd, (1, 1), true),
            (Acceptd, Enroute, (1, 1), true),
            (Acceptd, Pending, (1, 1), false),
            (Acceptd, Uncertain, (1, 1), false),
            (Undeliv, Sending, (1, 2), true),
            (Undeliv, Pending, (1, 1), false),
            (Delivrd, Sending, (1, 2), false),
            (Delivrd, Acceptd, (1, 1), false),
            (Unknown, Sending, (1, 2), false),
            (Pending, Cancelled, (0, 0), true),
            (Acceptd, Cancelled, (1, 1), false),
        ];
        for (old, new, attempts, allowed) in table {
            assert_eq!(
                is_allowed((old, new), attempts),
                allowed,
                "{old:?} {new:?} {attempts:?}"
            );
        }
    }
}

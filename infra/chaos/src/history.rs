//! Records every change of every recipient's row with a trigger, and checks that the protocol
//! allows each change: a state never goes back, and a final state stays.

use shared::message::status::Status;
use sqlx::{MySqlPool, Row};
use uuid::Uuid;

/// Has the server record every change of `recipients` from now on. The pool needs an
/// administrator's rights. Calling it twice does no harm.
pub async fn record_changes(pool: &MySqlPool) -> sqlx::Result<()> {
    let table = "CREATE TABLE IF NOT EXISTS chaos_steps (
          id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
          schedule_id BINARY(16) NOT NULL, seq INT UNSIGNED NOT NULL,
          old_status VARCHAR(10) NOT NULL, old_attempt INT UNSIGNED NOT NULL,
          new_status VARCHAR(10) NOT NULL, new_attempt INT UNSIGNED NOT NULL,
          KEY of_schedule (schedule_id))";
    let trigger = "CREATE TRIGGER chaos_step AFTER UPDATE ON recipients FOR EACH ROW
        INSERT INTO chaos_steps (schedule_id, seq, old_status, old_attempt, new_status, new_attempt)
        VALUES (OLD.schedule_id, OLD.seq, OLD.status, OLD.attempt, NEW.status, NEW.attempt)";
    for statement in [table, "DROP TRIGGER IF EXISTS chaos_step", trigger] {
        sqlx::raw_sql(statement).execute(pool).await?;
    }
    Ok(())
}

/// Describes the changes of a schedule's recipients that the protocol does not allow.
pub async fn forbidden_changes(pool: &MySqlPool, schedule_id: Uuid) -> sqlx::Result<Vec<String>> {
    let changes = "SELECT seq, old_status, old_attempt, new_status, new_attempt
        FROM chaos_steps WHERE schedule_id = ? ORDER BY id";
    let mut forbidden = Vec::new();
    for row in sqlx::query(changes)
        .bind(schedule_id)
        .fetch_all(pool)
        .await?
    {
        let (old, new): (String, String) = (row.try_get("old_status")?, row.try_get("new_status")?);
        let attempts: (u32, u32) = (row.try_get("old_attempt")?, row.try_get("new_attempt")?);
        let state = |status: &str, attempt| {
            Status::parse(status).map(|status| RowState { status, attempt })
        };
        let allowed = state(&old, attempts.0)
            .zip(state(&new, attempts.1))
            .is_some_and(|(old, new)| is_allowed(old, new));
        if !allowed {
            let seq: u32 = row.try_get("seq")?;
            forbidden.push(format!(
                "recipient {seq} changed from {old} of attempt {} to {new} of attempt {}",
                attempts.0, attempts.1
            ));
        }
    }
    Ok(forbidden)
}

#[derive(Clone, Copy, Debug)]
struct RowState {
    status: Status,
    attempt: u32,
}

/// Returns whether a row may change from one state to the other. Only a mark raises the attempt.
fn is_allowed(old: RowState, new: RowState) -> bool {
    use Status::{
        Acceptd, Cancelled, Enroute, Expired, Pending, Rejectd, Sending, Suppressed, Uncertain,
        Undeliv,
    };
    if new.status == Sending && old.status != Sending {
        return matches!(old.status, Pending | Undeliv | Expired | Uncertain)
            && new.attempt == old.attempt + 1;
    }
    let from_carrier =
        new.status.is_final() && !matches!(new.status, Cancelled | Suppressed | Status::Invalid);
    let statuses = match old.status {
        // REJECTD: refused alone in a pass that ends. EXPIRED: the schedule's end has passed.
        Pending => matches!(new.status, Cancelled | Suppressed | Rejectd | Expired),
        Sending => matches!(new.status, Pending | Uncertain | Acceptd | Rejectd),
        Uncertain => from_carrier || matches!(new.status, Pending | Acceptd | Enroute),
        Acceptd | Enroute => from_carrier || matches!(new.status, Acceptd | Enroute),
        // Final, except that a mark may follow UNDELIV and EXPIRED: see above.
        Status::Delivrd
        | Undeliv
        | Expired
        | Status::Deleted
        | Rejectd
        | Status::Unknown
        | Cancelled
        | Suppressed
        | Status::Invalid => false,
    };
    (old.status == new.status || statuses) && new.attempt == old.attempt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_never_goes_back() {
        use Status::{
            Acceptd, Cancelled, Delivrd, Enroute, Expired, Pending, Sending, Uncertain, Undeliv,
            Unknown,
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
            (Pending, Expired, (0, 0), true),
            (Pending, Delivrd, (1, 1), false),
            (Acceptd, Cancelled, (1, 1), false),
        ];
        for (old, new, attempts, allowed) in table {
            let state = |status, attempt| RowState { status, attempt };
            assert_eq!(
                is_allowed(state(old, attempts.0), state(new, attempts.1)),
                allowed,
                "{old:?} {new:?} {attempts:?}"
            );
        }
    }
}

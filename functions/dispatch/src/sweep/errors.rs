//! The errors of a sweep: one failure does not stop it, unless the database is down.

use shared::platform::db::describe::describe;
use uuid::Uuid;

/// The server shuts down, or has too many connections.
const UNAVAILABLE: [u16; 3] = [1040, 1053, 1203];

/// The last error of a sweep, or of one of its steps.
#[derive(Default)]
pub struct SweepErrors(Option<anyhow::Error>);

impl SweepErrors {
    /// Keeps and logs an error. Returns it if the database is down: then the steps that follow
    /// would fail too, each after its time-out.
    pub fn note(&mut self, done: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = done else {
            return Ok(());
        };
        if is_database_down(&error) {
            return Err(error);
        }
        tracing::error!(error = describe(&error), "a step of the sweep failed");
        self.0 = Some(error);
        Ok(())
    }

    /// Does the same for the work on one schedule.
    pub fn note_of(&mut self, schedule_id: Uuid, done: anyhow::Result<()>) -> anyhow::Result<()> {
        if let Err(error) = &done {
            tracing::error!(schedule.id = %schedule_id, error = describe(error), "the sweep failed for a schedule");
        }
        self.note(done)
    }

    /// Returns the last error that was kept: it raises the alarm.
    pub fn last(self) -> anyhow::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Whether the server cannot be reached, or does not accept statements.
pub fn is_database_down(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let Some(cause) = cause.downcast_ref::<sqlx::Error>() else {
            return false;
        };
        match cause {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
            sqlx::Error::Database(error) => error
                .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
                .is_some_and(|error| UNAVAILABLE.contains(&error.number())),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_error_is_kept_unless_the_database_is_down() {
        let mut errors = SweepErrors::default();
        assert!(errors.note(Ok(())).is_ok());
        assert!(errors.note(Err(anyhow::anyhow!("a bad row"))).is_ok());
        let down = Err::<(), _>(sqlx::Error::PoolTimedOut).context("looking for due batches");
        assert!(errors.note(down).is_err());
        let last = errors.last().map_err(|error| error.to_string());
        assert_eq!(last, Err("a bad row".to_owned()));
    }
}

//! What the API needs to know from its environment.

use std::time::Duration;

use chrono::TimeDelta;
use shared::config::{DatabaseSource, Env};

/// See the template for what each variable is.
#[expect(missing_docs, reason = "named as the variables")]
pub struct Config {
    pub database: DatabaseSource,
    pub dispatch_queue_url: String,
    pub dispatch_arn: String,
    pub schedule_group: String,
    pub scheduler_role_arn: String,
    pub schedule_dlq_arn: Option<String>,
    pub stack: String,
    pub dispatch_lead: Duration,
    pub quiet_time: TimeDelta,
    pub commit: String,
}

impl Config {
    /// Reads it, or names every wrong variable at once.
    pub fn from_env() -> anyhow::Result<Self> {
        Self::read(Env::from_process())
    }

    fn read(mut env: Env) -> anyhow::Result<Self> {
        let config = Self {
            database: env.database("DATABASE_URL", "DATABASE_SECRET_ARN"),
            dispatch_queue_url: env.url("DISPATCH_QUEUE_URL"),
            dispatch_arn: env.text("DISPATCH_FUNCTION_ARN"),
            schedule_group: env.text("SCHEDULE_GROUP"),
            scheduler_role_arn: env.text("SCHEDULER_ROLE_ARN"),
            schedule_dlq_arn: env.optional("SCHEDULE_DLQ_ARN"),
            stack: env.text("STACK_NAME"),
            dispatch_lead: env.seconds("DISPATCH_LEAD_S", 1..=900, None),
            quiet_time: TimeDelta::seconds(env.number("UNCERTAIN_QUIET_S", 1..=86_400, Some(300)).into()),
            commit: env.optional("GIT_COMMIT").unwrap_or_else(|| "unknown".to_owned()),
        };
        env.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_at_once() {
        let error = Config::read(Env::from_pairs([("DISPATCH_LEAD_S", "0"), ("STACK_NAME", "sms")])).err().map(|e| e.to_string());
        let error = error.unwrap_or_default();
        for name in ["DATABASE_URL", "DISPATCH_QUEUE_URL", "DISPATCH_FUNCTION_ARN", "SCHEDULE_GROUP", "SCHEDULER_ROLE_ARN"] {
            assert!(error.contains(&format!("{name} is missing")), "{name} is not in: {error}");
        }
        assert!(error.contains("DISPATCH_LEAD_S is `0`; expected a whole number from 1 to 900"), "{error}");
        assert!(!error.contains("GIT_COMMIT") && !error.contains("SCHEDULE_DLQ_ARN") && !error.contains("STACK_NAME"), "{error}");
    }
}

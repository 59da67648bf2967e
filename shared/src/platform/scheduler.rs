//! The one-time scheduler: EventBridge Scheduler, which invokes dispatch ahead of a schedule's
//! time.
//!
//! If it never does, the sweep finds the row; if it does so twice, or for an older version,
//! dispatch finds nothing to do.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_scheduler::types::{
    ActionAfterCompletion, DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode,
    RetryPolicy, Target,
};
use chrono::{DateTime, Utc};

use crate::platform::queue::DispatchMessage;

/// Creates and deletes one-time schedules.
#[async_trait]
pub trait OneTimeScheduler: Send + Sync {
    /// Makes EventBridge invoke dispatch at `fire_at` (to the second, rounded down; it may be up to
    /// a minute late). A one-time schedule with the same id and version is left unchanged.
    async fn create(&self, message: DispatchMessage, fire_at: DateTime<Utc>) -> anyhow::Result<()>;

    /// Deletes a one-time schedule. Succeeds if it does not exist.
    async fn delete(&self, message: DispatchMessage) -> anyhow::Result<()>;
}

/// A scheduler that several owners share.
pub type SharedScheduler = Arc<dyn OneTimeScheduler>;

/// The scheduler in EventBridge.
pub struct EventBridge {
    /// The client of the SDK.
    pub client: aws_sdk_scheduler::Client,
    /// The group that the stack's schedules are in.
    pub group: String,
    /// The first part of each name.
    pub stack: String,
    /// The ARN of dispatch.
    pub target_arn: String,
    /// The role with which EventBridge invokes it.
    pub role_arn: String,
    /// The queue for events that could not be delivered; `None`: they are discarded.
    pub dead_letter_arn: Option<String>,
}

/// How long EventBridge tries to deliver an event. After that the sweep has found the schedule.
const MAX_EVENT_AGE_S: i32 = 900;
const MAX_RETRIES: i32 = 10;

impl EventBridge {
    /// Returns the name `<stack>-<id>-<version>`. A schedule that was moved to another time gets
    /// another name, since EventBridge may remember a name that has fired. A name has at most 64
    /// characters, so it contains the first 16 of the stack's name; the group belongs to the stack
    /// anyway.
    fn name(&self, message: DispatchMessage) -> String {
        format!(
            "{:.16}-{}-{}",
            self.stack, message.schedule_id, message.version
        )
    }

    fn target(&self, message: DispatchMessage) -> anyhow::Result<Target> {
        let retry = RetryPolicy::builder()
            .maximum_event_age_in_seconds(MAX_EVENT_AGE_S)
            .maximum_retry_attempts(MAX_RETRIES)
            .build();
        let dead_letter = self
            .dead_letter_arn
            .as_ref()
            .map(|arn| DeadLetterConfig::builder().arn(arn).build());
        let target = Target::builder()
            .arn(&self.target_arn)
            .role_arn(&self.role_arn)
            .input(serde_json::to_string(&message)?);
        Ok(target
            .retry_policy(retry)
            .set_dead_letter_config(dead_letter)
            .build()?)
    }
}

#[async_trait]
impl OneTimeScheduler for EventBridge {
    async fn create(&self, message: DispatchMessage, fire_at: DateTime<Utc>) -> anyhow::Result<()> {
        let name = self.name(message);
        let call = self
            .client
            .create_schedule()
            .name(&name)
            .client_token(&name)
            .group_name(&self.group);
        let call = call
            .schedule_expression(fire_at.format("at(%Y-%m-%dT%H:%M:%S)").to_string())
            .schedule_expression_timezone("UTC")
            .flexible_time_window(
                FlexibleTimeWindow::builder()
                    .mode(FlexibleTimeWindowMode::Off)
                    .build()?,
            )
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(message)?);
        match call.send().await.map_err(aws_sdk_scheduler::Error::from) {
            Ok(_) | Err(aws_sdk_scheduler::Error::ConflictException(_)) => Ok(()),
            Err(error) => Err(anyhow::Error::from(error).context("CreateSchedule")),
        }
    }

    async fn delete(&self, message: DispatchMessage) -> anyhow::Result<()> {
        let call = self
            .client
            .delete_schedule()
            .name(self.name(message))
            .group_name(&self.group);
        match call.send().await.map_err(aws_sdk_scheduler::Error::from) {
            Ok(_) | Err(aws_sdk_scheduler::Error::ResourceNotFoundException(_)) => Ok(()),
            Err(error) => Err(anyhow::Error::from(error).context("DeleteSchedule")),
        }
    }
}

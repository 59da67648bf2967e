//! The schedule is due within the lead, so that the cut comes at once and these calls race with
//! it.

use anyhow::ensure;
use reqwest::Method;
use serde_json::json;

use crate::stack::{Fault, Injection, ScheduleRun};

pub const FAULT: Fault = Fault {
    name: "people-append",
    description: "An operator appends recipients while the schedule is cut.",
    recipients: 1200,
    lead_s: 4,
    max_uncertain: Some(0),
    injection: Injection::PerSchedule(|run| Box::pin(inject(run))),
};

async fn inject(mut run: ScheduleRun) -> anyhow::Result<()> {
    run.client.step(run.id, "activate").await?;
    let path = format!("/v1/schedules/{}/recipients", run.id);
    for _ in 0..6 {
        let numbers: Vec<_> = (0..20)
            .map(|_| format!("+6019{:07}", run.rng.u32(1_000_000..9_999_999)))
            .collect();
        let body = json!({ "recipients": numbers });
        let (status, answer) = run.client.call(Method::POST, &path, Some(body)).await?;
        ensure!(
            matches!(status, 200 | 409),
            "append answered {status}: {answer}"
        );
    }
    Ok(())
}

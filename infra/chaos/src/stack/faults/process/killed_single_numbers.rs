//! Each text is another one, so that each request carries one number. The numbers in flight are
//! bounded, not the requests.

use std::time::Duration;

use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};
use shared::platform::fault::Point;

use crate::stack::{
    Fault, Injection, ScheduleRun,
    faults::common::{IN_FLIGHT, once_at},
    phone_numbers,
    points::Action,
};

const RECIPIENTS: u32 = 500;

pub const FAULT: Fault = Fault {
    name: "killed-single-numbers",
    description: "Send is killed while 200 requests of one number each are in flight.",
    // The draft is empty at first.
    recipients: 0,
    lead_s: 6,
    max_uncertain: Some(IN_FLIGHT),
    injection: Injection::PerSchedule(|run| {
        Box::pin(async move {
            add_personal_texts(&run).await?;
            let after = Duration::from_millis(20);
            once_at(run, Point::InFlight, Action::Kill { after }).await
        })
    }),
};

/// Gives the draft a template, and recipients with a variable each.
async fn add_personal_texts(run: &ScheduleRun) -> anyhow::Result<()> {
    let path = format!("/v1/schedules/{}", run.id);
    let template = json!({ "message": "This is test number {{n}}." });
    let entry = |phone| json!({ "phone": phone, "vars": { "n": phone } });
    let recipients: Vec<Value> = phone_numbers(RECIPIENTS).iter().map(entry).collect();
    for (method, path, body) in [
        (Method::PATCH, path.clone(), template),
        (
            Method::POST,
            format!("{path}/recipients"),
            json!(recipients),
        ),
    ] {
        let (status, answer) = run.client.call(method, &path, Some(body)).await?;
        ensure!(status < 300, "{path}: {status} {answer}");
    }
    Ok(())
}

//! `start`, `pause`, `resume` and `cancel`.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Call, Client},
    failure::Failure,
    options::Moved,
    output::Output,
    schedules::line,
};

/// Starts a draft.
pub async fn start(client: &mut Client, id: Uuid, output: Output) -> Result<u8, Failure> {
    execute(client, id, "activate", None, output).await
}

/// Pauses a schedule.
pub async fn pause(client: &mut Client, moved: &Moved, output: Output) -> Result<u8, Failure> {
    execute(client, moved.id, "pause", reason(moved), output).await
}

/// Resumes a schedule.
pub async fn resume(
    client: &mut Client,
    id: Uuid,
    now: bool,
    output: Output,
) -> Result<u8, Failure> {
    execute(
        client,
        id,
        "resume",
        now.then(|| json!({"now": true})),
        output,
    )
    .await
}

/// Cancels a schedule.
pub async fn cancel(client: &mut Client, moved: &Moved, output: Output) -> Result<u8, Failure> {
    execute(client, moved.id, "cancel", reason(moved), output).await
}

/// Cancels what this program has made itself.
pub async fn cancel_quietly(client: &mut Client, id: Uuid, reason: &str) -> Result<(), Failure> {
    let call = Call::post(format!("/v1/schedules/{id}/cancel"));
    client
        .json(call.json(&json!({"reason": reason})))
        .await
        .map(drop)
}

fn reason(moved: &Moved) -> Option<Value> {
    moved
        .reason
        .as_ref()
        .map(|reason| json!({"reason": reason}))
}

async fn execute(
    client: &mut Client,
    id: Uuid,
    name: &str,
    body: Option<Value>,
    output: Output,
) -> Result<u8, Failure> {
    let mut call = Call::post(format!("/v1/schedules/{id}/{name}"));
    if let Some(body) = body {
        call = call.json(&body);
    }
    let schedule = client.json(call).await?;
    output.answer(&schedule, || {
        let sent = schedule["already_sent"].as_u64().unwrap_or_default();
        format!("{}  ({sent} already sent)", line(&schedule))
    });
    Ok(0)
}

//! `resend`.

use chrono::Utc;
use serde_json::{Value, json};

use crate::{
    client::{Call, Client},
    failure::Failure,
    options::Again,
    output::Output,
    schedules::line,
    time::At,
};

/// Sends again, with as many calls as the copy of the list needs.
pub async fn resend(client: &mut Client, again: &Again, output: Output) -> Result<u8, Failure> {
    let body = body(again);
    loop {
        let call = Call::post(format!("/v1/schedules/{}/resend", again.id)).json(&body);
        let schedule = client.json(call).await?;
        if schedule["complete"] != false {
            output.answer(&schedule, || line(&schedule));
            return Ok(0);
        }
        output.note(&format!(
            "{} of the list examined",
            schedule["examined"].as_u64().unwrap_or_default()
        ));
    }
}

fn body(again: &Again) -> Value {
    let mut body = json!({});
    if !again.statuses.is_empty() {
        body["statuses"] = json!(again.statuses);
    }
    match again.at {
        None | Some(At::Now) => {}
        Some(at) => body["run_at"] = json!(at.time(Utc::now())),
    }
    body
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_what_was_given_is_asked_for() {
        let mut again = Again {
            id: Uuid::nil(),
            statuses: Vec::new(),
            at: Some(At::Now),
        };
        assert_eq!(body(&again), json!({}));
        again.statuses = vec!["EXPIRED".to_owned()];
        again.at = Some(At::In(TimeDelta::hours(1)));
        let asked = body(&again);
        assert_eq!(asked["statuses"], json!(["EXPIRED"]));
        assert!(asked["run_at"].is_string(), "{asked}");
    }
}

//! `approval`, `approve` and `reject`: the decision of a second person about a schedule.
//!
//! An approval names the hash of what was shown, so that nothing else is approved: if the text, the
//! times or the list change in between, the API refuses it.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Call, Client},
    failure::Failure,
    output::Output,
    schedules::line,
};

/// What a person types to approve what is shown.
const YES: &str = "yes";

/// What is approved.
#[derive(Debug, Args)]
pub struct Approved {
    /// The schedule.
    pub id: Uuid,
    /// The hash of what is approved, from `sms approval`. Without it, what is to be approved is shown
    /// on the terminal, and approved if you confirm it.
    #[arg(long, value_parser = parse_hash)]
    pub hash: Option<String>,
    /// If its time has passed, send now.
    #[arg(long)]
    pub now: bool,
}

/// What is rejected, and why.
#[derive(Debug, Args)]
pub struct Rejected {
    /// The schedule.
    pub id: Uuid,
    /// Why; shown with the schedule and in the audit log.
    #[arg(long, short)]
    pub reason: String,
}

fn parse_hash(given: &str) -> Result<String, String> {
    if given.len() != 64 || !given.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("expected 64 hexadecimal digits".to_owned());
    }
    Ok(given.to_owned())
}

/// Shows what is to be approved.
pub async fn show(client: &mut Client, id: Uuid, output: Output) -> Result<u8, Failure> {
    let approval = read(client, id, output).await?;
    output.answer(&approval, || description(&approval));
    Ok(0)
}

/// Approves a schedule: exactly what has the given hash, or what is shown to a person at a terminal,
/// who confirms it.
pub async fn approve(
    client: &mut Client,
    approved: &Approved,
    output: Output,
) -> Result<u8, Failure> {
    let hash = match &approved.hash {
        Some(hash) => hash.clone(),
        None => confirm(client, approved.id, output).await?,
    };
    let mut body = json!({"hash": hash});
    if approved.now {
        body["now"] = json!(true);
    }
    let id = approved.id;
    let call = Call::post(format!("/v1/schedules/{id}/approve")).json(&body);
    let schedule = client.json(call).await.map_err(|failure| match failure {
        Failure::Refused(problem) if problem.is("approval-hash-differs") => {
            Failure::Refused(problem)
                .with_note(&format!("`sms approval {id}` shows what it is now"))
        }
        failure => failure,
    })?;
    output.answer(&schedule, || line(&schedule));
    Ok(0)
}

/// Rejects a schedule, which is a draft again.
pub async fn reject(
    client: &mut Client,
    rejected: &Rejected,
    output: Output,
) -> Result<u8, Failure> {
    let call = Call::post(format!("/v1/schedules/{}/reject", rejected.id));
    let schedule = client
        .json(call.json(&json!({"reason": rejected.reason})))
        .await?;
    output.answer(&schedule, || line(&schedule));
    Ok(0)
}

/// Shows what is to be approved, and asks for a confirmation. Returns its hash.
async fn confirm(client: &mut Client, id: Uuid, output: Output) -> Result<String, Failure> {
    if output.json || !io::stdin().is_terminal() {
        let text = format!("expected --hash HASH, which `sms approval {id}` shows");
        return Err(Failure::Usage(text));
    }
    let approval = read(client, id, output).await?;
    eprintln!("{}", description(&approval));
    eprint!("Type {YES} to approve exactly this: ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::file("standard input", &error))?;
    if answer.trim() != YES {
        return Err(Failure::Usage("nothing is approved".to_owned()));
    }
    Ok(hash_of(&approval).to_owned())
}

/// Reads what is to be approved, with as many calls as the hash of a long list needs.
async fn read(client: &mut Client, id: Uuid, output: Output) -> Result<Value, Failure> {
    loop {
        let call = Call::get(format!("/v1/schedules/{id}/approval"));
        let approval = client.json(call).await?;
        if !approval["hash"].is_null() {
            return Ok(approval);
        }
        output.note("the list is being hashed");
    }
}

fn hash_of(approval: &Value) -> &str {
    approval["hash"].as_str().unwrap_or_default()
}

fn description(approval: &Value) -> String {
    let schedule = &approval["schedule"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let authors = approval["authors"].as_array().into_iter().flatten();
    let authors: Vec<_> = authors.map(text).collect();
    let mut lines = vec![
        line(schedule),
        format!("sender   {}", text(&schedule["sender"])),
        format!("text     {}", text(&schedule["message"])),
    ];
    let samples = approval["samples"].as_array().into_iter().flatten();
    lines.extend(
        samples.map(|sample| format!("  {} ← {}", text(&sample["phone"]), text(&sample["text"]))),
    );
    lines.push(format!(
        "asked    by {} at {} ({})",
        text(&approval["asked_by"]),
        text(&approval["asked_at"]),
        text(&approval["reason"])
    ));
    lines.push(format!("authors  {}", authors.join(", ")));
    if approval["approved_by"].is_string() {
        lines.push(format!(
            "approved by {} at {}",
            text(&approval["approved_by"]),
            text(&approval["approved_at"])
        ));
    } else if approval["may_approve"] == false {
        lines.push("you may not approve it".to_owned());
    }
    lines.push(format!("hash     {}", hash_of(approval)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{body_json, method, path},
    };

    use super::*;
    use crate::credentials::Credentials;

    const OUTPUT: Output = Output { json: true };

    fn approval(hash: &Value) -> Value {
        json!({"hash": hash, "reason": "recipients", "asked_by": "user:a", "asked_at": "T0", "authors": ["user:a", "key:b"],
            "may_approve": true, "approved_by": null, "samples": [{"seq": 1, "phone": "+60123456789", "text": "Dear Ana"}],
            "schedule": {"id": "1", "status": "awaiting-approval", "run_at": "T", "message": "Dear {{name}}", "recipients": {"total": 7}}})
    }

    fn client(server: &MockServer) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::with(Credentials {
            url: server.uri(),
            key: Some("k".to_owned()),
            ..Credentials::default()
        })
        .unwrap()
    }

    #[test]
    fn what_is_to_be_approved_is_shown_with_its_hash() {
        let hash = "ab".repeat(32);
        let mut shown = approval(&json!(hash));
        let expected = format!(
            "1  awaiting-approval  T         7  -\nsender   -\ntext     Dear {{{{name}}}}\n  +60123456789 ← Dear Ana\n\
             asked    by user:a at T0 (recipients)\nauthors  user:a, key:b\nhash     {hash}"
        );
        assert_eq!(description(&shown), expected);
        shown["may_approve"] = json!(false);
        assert!(description(&shown).contains("you may not approve it"));
        shown["approved_by"] = json!("user:c");
        assert!(description(&shown).contains("approved by user:c"));
    }

    #[tokio::test]
    async fn an_approval_names_exactly_the_given_hash() {
        let server = MockServer::start().await;
        let (id, hash) = (Uuid::nil(), "ab".repeat(32));
        let at = path(format!("/v1/schedules/{id}/approve"));
        Mock::given(method("POST"))
            .and(at)
            .and(body_json(json!({"hash": hash, "now": true})))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"status": "scheduled"})))
            .expect(1)
            .mount(&server)
            .await;
        let mut approved = Approved {
            id,
            hash: Some(hash),
            now: true,
        };
        let mut client = client(&server);
        assert_eq!(approve(&mut client, &approved, OUTPUT).await.unwrap(), 0);
        // Nobody can confirm what is not shown.
        approved.hash = None;
        let refused = approve(&mut client, &approved, OUTPUT).await.unwrap_err();
        assert_eq!(refused.code(), 2);
        assert!(refused.to_string().contains("expected --hash"), "{refused}");
    }

    #[tokio::test]
    async fn a_hash_that_differs_is_refused_with_the_command_that_shows_the_next_one() {
        let server = MockServer::start().await;
        let document = json!({"type": "/problems/approval-hash-differs", "title": "It has changed", "status": 409});
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(409).set_body_json(document))
            .mount(&server)
            .await;
        let approved = Approved {
            id: Uuid::nil(),
            hash: Some("ab".repeat(32)),
            now: false,
        };
        let refused = approve(&mut client(&server), &approved, OUTPUT).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), 1);
        assert!(refused.to_string().contains("sms approval"), "{refused}");
    }

    #[tokio::test]
    async fn a_long_list_is_read_until_it_has_a_hash() {
        let server = MockServer::start().await;
        let answer = |hash: Value| ResponseTemplate::new(200).set_body_json(approval(&hash));
        let get = || Mock::given(method("GET"));
        get()
            .respond_with(answer(Value::Null))
            .up_to_n_times(2)
            .expect(2)
            .mount(&server)
            .await;
        get()
            .respond_with(answer(json!("cd")))
            .expect(1)
            .mount(&server)
            .await;
        let approval = read(&mut client(&server), Uuid::nil(), OUTPUT).await;
        assert_eq!(hash_of(&approval.unwrap()), "cd");
    }

    #[tokio::test]
    async fn a_rejection_has_its_reason() {
        let server = MockServer::start().await;
        let at = path(format!("/v1/schedules/{}/reject", Uuid::nil()));
        Mock::given(method("POST"))
            .and(at)
            .and(body_json(json!({"reason": "the price is wrong"})))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"status": "draft"})))
            .expect(1)
            .mount(&server)
            .await;
        let rejected = Rejected {
            id: Uuid::nil(),
            reason: "the price is wrong".to_owned(),
        };
        let mut client = client(&server);
        assert_eq!(reject(&mut client, &rejected, OUTPUT).await.unwrap(), 0);
    }
}

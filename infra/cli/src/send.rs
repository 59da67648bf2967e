//! `send`: creates a draft, appends the list in as many calls as it needs, and starts it. Each call
//! may be repeated, so that a lost answer neither loses nor doubles a recipient.

use chrono::{TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    client::{Call, Client},
    failure::Failure,
    list::{self, List, Piece},
    moves,
    options::{OnInvalid, Order, Policy, Types, Watched},
    output::{Output, Progress},
    summary::{self, add, summary},
    time::At,
    watch,
};

/// Executes the command.
pub async fn send(client: &mut Client, order: &Order, output: Output) -> Result<u8, Failure> {
    let mut list = list::open(&order.list, &order.reading)?;
    // An empty file makes no schedule.
    let first = list.piece()?;
    let first = first
        .ok_or_else(|| Failure::Usage(format!("{}: the list is empty", order.list.display())))?;
    let id = match order.into {
        Some(id) => id,
        None => create(client, order).await?,
    };
    let appended = append_all(client, id, order, &mut list, first, output).await;
    if order.dry_run {
        moves::cancel_quietly(client, id, "a dry run").await?;
        return Ok(summary::of_dry_run(&appended?, output));
    }
    let total = match appended {
        Ok(total) => total,
        Err(failure) => return Err(left_behind(client, order, id, failure).await),
    };
    if order.draft {
        let answer = json!({"id": id, "status": "draft", "list": total});
        output.answer(&answer, || {
            format!(
                "{}\ndraft {id}: sms preview {id}, sms start {id}",
                summary(&total)
            )
        });
        return Ok(0);
    }
    let started = start(client, order, id).await;
    let mut schedule = started.map_err(|failure| {
        failure.with_note(&format!(
            "the list is uploaded, and {id} is still a draft: sms start {id}"
        ))
    })?;
    schedule["list"] = total.clone();
    if order.watch {
        output.note(&summary(&total));
        return watch::watch(client, &Watched { id, timeout: None }, output).await;
    }
    output.answer(&schedule, || {
        format!(
            "{}\n{id} is {}: sms watch {id}",
            summary(&total),
            schedule["status"].as_str().unwrap_or("started")
        )
    });
    Ok(0)
}

/// Decides what becomes of a draft whose list was not taken.
async fn left_behind(client: &mut Client, order: &Order, id: Uuid, failure: Failure) -> Failure {
    let continued = format!(
        "nothing is sent; continue with: sms send {} --into {id}",
        order.list.display()
    );
    if order.into.is_some() || matches!(failure, Failure::Unreachable(_)) {
        return failure.with_note(&continued);
    }
    match moves::cancel_quietly(client, id, "the list was refused").await {
        Ok(()) => failure.with_note("nothing is sent; the draft is cancelled"),
        Err(_) => failure.with_note(&continued),
    }
}

async fn create(client: &mut Client, order: &Order) -> Result<Uuid, Failure> {
    let call = Call::post("/v1/schedules").json(&draft(order, Utc::now()));
    let schedule = client.json(call).await?;
    let id = schedule["id"].as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| Failure::Unreachable("the answer has no id: is this the API?".to_owned()))
}

/// Starts the draft. A list that is to be sent now may have taken longer than its time.
async fn start(client: &mut Client, order: &Order, id: Uuid) -> Result<Value, Failure> {
    let activate = || Call::post(format!("/v1/schedules/{id}/activate"));
    match client.json(activate()).await {
        Err(Failure::Refused(problem))
            if problem.is("run-at-past") && order.at == Some(At::Now) =>
        {
            let soon = Utc::now() + TimeDelta::seconds(10);
            let call = Call::patch(format!("/v1/schedules/{id}"));
            client.json(call.json(&json!({"run_at": soon}))).await?;
            client.json(activate()).await
        }
        result => result,
    }
}

/// Returns the body that creates the draft.
fn draft(order: &Order, now: chrono::DateTime<Utc>) -> Value {
    let Policy {
        name,
        reference,
        labels,
        sender,
        rate,
        priority,
        ..
    } = &order.policy;
    let policy = &order.policy;
    let fields = [
        ("run_at", json!(order.at.map(|at| at.time(now)))),
        ("message", json!(order.text)),
        ("draft", json!(true)),
        ("name", json!(name)),
        ("reference", json!(reference)),
        (
            "labels",
            json!(Some(labels).filter(|labels| !labels.is_empty())),
        ),
        ("sender", json!(sender)),
        ("window", json!(window(policy))),
        ("rate", json!(rate)),
        ("priority", json!(priority)),
        ("send_until", json!(policy.until)),
        ("send_within_s", json!(policy.within_s)),
        ("max_attempts", json!(policy.max_attempts)),
        ("max_lateness_s", json!(policy.max_lateness_s)),
        ("on_uncertain", json!(policy.on_uncertain)),
        ("default_country", json!(order.reading.country)),
        ("column", json!(order.reading.column)),
        ("on_invalid", json!(on_invalid(order))),
        ("types", json!(types(order))),
    ];
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    given
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Map<_, _>>()
        .into()
}

fn window(policy: &Policy) -> Option<Value> {
    let (from, to) = policy.window.as_ref()?;
    let mut window = json!({"from": from, "to": to, "zone": policy.zone});
    if !policy.days.is_empty() {
        window["days"] = json!(policy.days);
    }
    Some(window)
}

fn on_invalid(order: &Order) -> Option<&'static str> {
    order.reading.on_invalid.map(|on_invalid| match on_invalid {
        OnInvalid::Reject => "reject",
        OnInvalid::Skip => "skip",
    })
}

fn types(order: &Order) -> Option<&'static str> {
    order.reading.types.map(|types| match types {
        Types::Any => "any",
        Types::Mobile => "mobile",
    })
}

async fn append_all(
    client: &mut Client,
    id: Uuid,
    order: &Order,
    list: &mut List,
    first: Piece,
    output: Output,
) -> Result<Value, Failure> {
    let size = std::fs::metadata(&order.list).map_or(0, |file| file.len());
    let mut progress = Progress::new(output);
    let mut total = json!({"invalid": []});
    let mut next = Some(first);
    let (mut sent, mut rows) = (0, 0);
    while let Some(piece) = next {
        let answer = append(client, id, order, list, &piece).await?;
        add(&mut total, answer, &piece);
        sent += piece.text.len() as u64;
        rows += piece.rows;
        next = list.piece()?;
        // The size of a compressed file, or of standard input, does not say how long the list is.
        let total = if next.is_none() {
            sent
        } else {
            size.max(sent + 1)
        };
        progress.show(sent, total, &format!("bytes: {rows} rows"));
    }
    Ok(total)
}

async fn append(
    client: &mut Client,
    id: Uuid,
    order: &Order,
    list: &List,
    piece: &Piece,
) -> Result<Value, Failure> {
    let body = piece.compressed();
    let body = body.map_err(|error| Failure::file("compressing the list", &error))?;
    let call = Call::post(format!("/v1/schedules/{id}/recipients"))
        .query("format", Some(list.sent_as(piece)))
        .query("charset", list.charset.as_deref())
        .query("dry_run", order.dry_run.then_some("true"))
        // A draft that exists may have been made with others.
        .query("column", order.reading.column.as_deref())
        .query("default_country", order.reading.country.as_deref())
        .query("on_invalid", on_invalid(order))
        .query("types", types(order))
        .body("application/gzip", body);
    let answer = match client.json(call.clone()).await {
        // A repeated list adds nothing, so it may be sent with another key.
        Err(Failure::Refused(problem)) if problem.is("idempotency-answer-lost") => {
            client.json(call.with_new_key()).await
        }
        answer => answer,
    };
    answer.map_err(|failure| match failure {
        Failure::Refused(mut problem) => {
            problem.positions = Some(piece.positions);
            Failure::Refused(problem)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::{Command, Options};

    fn order(options: &[&str]) -> Order {
        let words = ["sms", "send", "list.csv"].iter().chain(options);
        match Options::try_parse_from(words).unwrap().command {
            Command::Send(order) => *order,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_is_given_is_sent() {
        let now = chrono::DateTime::UNIX_EPOCH;
        let least = draft(&order(&["--text", "Hi", "--at", "+1h"]), now);
        assert_eq!(
            least,
            json!({"run_at": "1970-01-01T01:00:00Z", "message": "Hi", "draft": true})
        );
        let more = [
            "--text",
            "Hi",
            "--at",
            "now",
            "--country",
            "MY",
            "--on-invalid",
            "skip",
            "--label",
            "a",
            "--label",
            "b",
            "--window",
            "09:00-20:00",
            "--zone",
            "Asia/Tokyo",
            "--days",
            "Mon,Fri",
            "--types",
            "mobile",
        ];
        let window =
            json!({"from": "09:00", "to": "20:00", "zone": "Asia/Tokyo", "days": ["Mon", "Fri"]});
        assert_eq!(
            draft(&order(&more), now),
            json!({"run_at": "1970-01-01T00:00:30Z", "message": "Hi", "draft": true, "labels": ["a", "b"],
                "default_country": "MY", "on_invalid": "skip", "types": "mobile", "window": window})
        );
    }
}

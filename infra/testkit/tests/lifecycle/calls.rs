//! An operator's calls for schedules: what is sent, and what a successful answer changes.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::message::window::Window;
use testkit::{fixture, window};

use super::{
    companions::moved,
    lifecycle::Lifecycle,
    model::{Expected, LABEL},
    states::{Call, OnDuplicate, Place},
};

/// A call that is about to be made.
pub struct Prepared {
    pub call: Call,
    /// The state of the schedule. No worker pauses or cancels, so that work in progress does not
    /// change which event follows.
    before: String,
    method: Method,
    path: String,
    body: Value,
    /// The number of an appended recipient.
    new: Option<Expected>,
    window: Option<Window>,
}

impl Lifecycle {
    /// Makes a call.
    pub async fn call(&mut self, call: Call) -> (StatusCode, Value) {
        let prepared = self.prepare(call).await;
        let (status, answer) = self.send(&prepared).await;
        let before = &prepared.before;
        let checked = match call {
            Call::PauseLabel => self.check_moves(&answer, true, before),
            Call::ResumeLabel => self.check_moves(&answer, false, before),
            _ => Ok(()),
        };
        checked.unwrap();
        self.conclude(prepared, status, &answer).await;
        (status, answer)
    }

    pub async fn prepare(&mut self, call: Call) -> Prepared {
        let step = |step: &str| format!("/v1/schedules/{}{step}", self.id);
        let all = |step: &str| format!("/v1/schedules/{step}?label={LABEL}");
        let now = json!({"now": true});
        let (mut new, mut opens) = (None, None);
        let (method, path, body) = match call {
            Call::Activate => (Method::POST, step("/activate"), Value::Null),
            Call::Pause => (Method::POST, step("/pause"), Value::Null),
            Call::Resume => (Method::POST, step("/resume"), now),
            Call::Cancel => (Method::POST, step("/cancel"), Value::Null),
            Call::SendNow => (Method::POST, step("/send-now"), Value::Null),
            Call::DryRun => (Method::POST, step("/dry-run"), Value::Null),
            Call::PauseLabel => (Method::POST, all("pause"), Value::Null),
            Call::ResumeLabel => (Method::POST, all("resume"), now),
            Call::Text => (Method::PATCH, step(""), json!({"message": "Hello again"})),
            Call::Rate => (Method::PATCH, step(""), json!({"rate": 10})),
            Call::Window(from) => {
                let from = i32::from(from);
                let window = window::daily(self.stage.db.now(), from..from + 10);
                let body = json!({"window": window});
                opens = Some(window);
                (Method::PATCH, step(""), body)
            }
            Call::Append(on_duplicate, place) => {
                let kind = match on_duplicate {
                    OnDuplicate::Skip => "skip",
                    OnDuplicate::Update => "update",
                    OnDuplicate::Reject => "reject",
                };
                let path = step(&format!("/recipients?on_duplicate={kind}"));
                let (appended, body) = self.list(place);
                new = Some(appended);
                (Method::POST, path, body)
            }
        };
        Prepared {
            call,
            before: fixture::status(&self.stage.db, self.id).await,
            method,
            path,
            body,
            new,
            window: opens,
        }
    }

    pub async fn send(&self, prepared: &Prepared) -> (StatusCode, Value) {
        let Prepared {
            method, path, body, ..
        } = prepared;
        self.http_at(method.clone(), path, body).await
    }

    /// Records what a call has changed, and the event that follows if it is no repetition.
    pub async fn conclude(&mut self, prepared: Prepared, status: StatusCode, answer: &Value) {
        if let Call::Append(on_duplicate, place) = prepared.call {
            self.check_append(&prepared, on_duplicate, place, (status, answer))
                .await;
        }
        if !status.is_success() {
            return;
        }
        // A budget has paused it before the call did, which then was a repetition.
        let is_repeated = prepared.before != "paused" && self.is_paused_by_budget().await;
        let event = match prepared.call {
            Call::Pause if is_repeated => return,
            Call::Pause if prepared.before != "paused" => "schedule.paused",
            Call::Resume => "schedule.resumed",
            Call::PauseLabel => {
                self.conclude_moves(answer, "schedule.paused");
                return self.forget_repetition(is_repeated && moved(answer).contains(&self.id));
            }
            Call::ResumeLabel => return self.conclude_moves(answer, "schedule.resumed"),
            Call::Cancel if prepared.before != "cancelled" => "schedule.cancelled",
            Call::Window(_) => {
                self.window = prepared.window;
                return;
            }
            _ => return,
        };
        self.expected_events.push((self.id, event));
    }

    /// Removes the event of a pause that a call for several schedules was too late for.
    fn forget_repetition(&mut self, is_repeated: bool) {
        let paused = (self.id, "schedule.paused");
        let mut events = self.expected_events.iter();
        if let Some(at) = events.rposition(|event| is_repeated && *event == paused) {
            self.expected_events.remove(at);
        }
    }

    /// Returns a new recipient, and a list of it and of the number of one that the schedule has, with
    /// another group and no reference.
    fn list(&mut self, place: Place) -> (Expected, Value) {
        let number = self.model.new_number();
        let new = Expected {
            number,
            reference: Some(format!("R{number}")),
            group: Some("appended".to_owned()),
            is_cancelled: false,
        };
        let known = &self.model.recipients[&self.model.seq(place)];
        let known = json!({"phone": known.phone(), "group": "updated"});
        let list = json!([new.entry(), known]);
        (new, list)
    }

    /// Checks what the answer says about each entry of an appended list.
    async fn check_append(
        &mut self,
        prepared: &Prepared,
        on_duplicate: OnDuplicate,
        place: Place,
        (status, answer): (StatusCode, &Value),
    ) {
        if status == StatusCode::CONFLICT {
            return;
        }
        if on_duplicate == OnDuplicate::Reject {
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
            assert_eq!(answer["errors"][0]["code"], "duplicate", "{answer}");
            assert_eq!(answer["errors_total"], 1, "{answer}");
            return;
        }
        assert_eq!(status, StatusCode::OK, "{answer}");
        let seq = self.model.seq(place);
        let known = self.model.recipients.get_mut(&seq).unwrap();
        let is_updated = on_duplicate == OnDuplicate::Update && !known.is_cancelled;
        let became = if is_updated { "updated" } else { "skipped" };
        let entry = json!({"position": 1, "phone": known.phone(), "seq": seq, "became": became});
        assert_eq!(answer["duplicate_entries"], json!([entry]), "{answer}");
        let counts = ["accepted", "duplicates", "updated"].map(|name| answer[name].as_u64());
        assert_eq!(counts, [Some(1), Some(1), Some(u64::from(is_updated))]);
        if is_updated {
            (known.reference, known.group) = (None, Some("updated".to_owned()));
        }
        let new = prepared.new.clone().unwrap();
        let sql = "SELECT seq FROM recipients WHERE schedule_id = ? AND phone = ?";
        let seq: u32 = sqlx::query_scalar(sql)
            .bind(self.id)
            .bind(new.phone())
            .fetch_one(&self.stage.db)
            .await
            .unwrap();
        self.model.recipients.insert(seq, new);
    }
}

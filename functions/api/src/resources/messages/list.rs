//! `GET /v1/messages`: lists messages with their earlier attempts: of a number, of a schedule, or
//! of all schedules by time.

use std::collections::{BTreeSet, HashMap};

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    message::{
        phone::Phone,
        status::Status,
        template::{Template, Variables},
    },
    schedule::row::{load_schedule, load_schedules},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    http::{
        error::ApiError,
        page::{ListWalk, PageRequest, ROWS_PER_CALL},
        query::{LONG_LIMIT, Query},
    },
    openapi::{
        Operation,
        parameters::{self, e164, message_states},
    },
    resources::{
        messages::store::{
            Candidate, EarlierAttempt, Message, MessageFilter, earlier_attempts, messages_of_phone,
            messages_of_schedule, schedules_by_time,
        },
        recipients::store::{last_seq, variables_of},
    },
};

/// The number of schedules that one call reads. A page may be short, or empty, and still not be the
/// last.
const SCHEDULES: u32 = 20;

/// A page of messages.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "MessagePage")]
pub struct Page {
    messages: Vec<MessageView>,
    /// The cursor of the next page; null on the last page. There may be a next page although this
    /// one is not full.
    next_cursor: Option<String>,
}

/// A message, and the attempts before its last.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Message")]
struct MessageView {
    #[serde(flatten)]
    message: Message,
    /// Its text, with the recipient's variables.
    text: String,
    earlier_attempts: Vec<EarlierAttempt>,
}

/// The messages that a call selects.
enum Selection {
    Phone(Phone),
    Schedule(Uuid),
    All,
}

/// The end of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    run_at: DateTime<Utc>,
    id: Uuid,
    seq: u32,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('m')?.split('-');
        let (run_at, id, seq) = (parts.next()?, parts.next()?, parts.next()?);
        let run_at = DateTime::from_timestamp_millis(i64::from_str_radix(run_at, 16).ok()?)?;
        let cursor = Self {
            run_at,
            id: Uuid::try_parse(id).ok()?,
            seq: u32::from_str_radix(seq, 16).ok()?,
        };
        // The database has no year of five digits.
        let is_valid =
            parts.next().is_none() && (1970..9999).contains(&chrono::Datelike::year(&run_at));
        is_valid.then_some(cursor)
    }

    const fn after(schedule: &Candidate, seq: u32) -> Self {
        Self {
            run_at: schedule.run_at,
            id: schedule.id,
            seq,
        }
    }

    fn write(self) -> String {
        format!(
            "m{:x}-{}-{:x}",
            self.run_at.timestamp_millis(),
            self.id.simple(),
            self.seq
        )
    }
}

/// Returns 200 with a page.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let selection = read_selection(&mut query);
    let filter = MessageFilter {
        status: query.choice("status", &message_states(), Status::as_str),
        from: query.time("from"),
        to: query.time("to"),
    };
    let limit = query.limit(LONG_LIMIT);
    let cursor = query.cursor(Cursor::read);
    query.finish()?;
    let page = PageRequest {
        after: cursor,
        limit,
    };
    let mut connection = app.db.acquire().await?;
    let FoundMessages { messages, next } = match selection {
        Selection::Phone(phone) => of_phone(&mut connection, phone, filter, page).await?,
        Selection::Schedule(id) => {
            load_schedule(&mut connection, id)
                .await?
                .ok_or_else(ApiError::no_such_schedule)?;
            of_schedule(&mut connection, id, filter, page).await?
        }
        Selection::All => of_all(&mut connection, filter, page, app.db.now()).await?,
    };
    let texts = texts(&mut connection, &messages).await?;
    let messages = with_attempts(&mut connection, messages, texts).await?;
    Ok(Json(Page {
        messages,
        next_cursor: next.map(Cursor::write),
    }))
}

fn read_selection(query: &mut Query) -> Selection {
    let (phone, schedule) = (query.text("phone"), query.text("schedule_id"));
    if phone.is_some() && schedule.is_some() {
        query.complain(
            "phone",
            "not-both",
            "expected phone or schedule_id, not both",
        );
    }
    if let Some(given) = phone {
        // A `+` that was not encoded has become a space.
        let number = given
            .strip_prefix(' ')
            .map_or_else(|| given.clone(), |digits| format!("+{digits}"));
        match Phone::parse(&number) {
            Ok(phone) => return Selection::Phone(phone),
            Err(error) => query.complain("phone", error.code(), error.to_string()),
        }
    }
    if let Some(given) = schedule {
        match Uuid::try_parse(&given) {
            Ok(id) => return Selection::Schedule(id),
            Err(_) => query.complain(
                "schedule_id",
                "not-an-id",
                "expected the id of a schedule, a UUID",
            ),
        }
    }
    Selection::All
}

/// Describes `GET /v1/messages` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let earlier = json!({"attempt": 1, "status": "UNDELIV", "message_id": "a1b2c3", "carrier_status": "UNDELIV", "error": null,
        "sent_at": "2027-01-31T01:00:00Z", "final_at": "2027-01-31T01:00:09Z"});
    let message = json!({
        "schedule_id": "0190a0b0-c0d0-7080-8000-00000000000f", "seq": 1, "phone": "+60123456789", "status": "DELIVRD", "attempt": 2,
        "resends": 1, "message_id": "d4e5f6", "carrier_status": "DELIVRD", "error": null, "sent_at": "2027-01-31T01:05:00Z",
        "final_at": "2027-01-31T01:05:09Z", "text": "Dear Ana, your parcel is here.", "earlier_attempts": [earlier],
    });
    Operation::new("listMessages", "messages", "List messages")
        .text(
            "Messages of a number (its newest schedule first), of a schedule, or of all schedules by planned time, the latest first. A call reads \
             at most 100,000 entries of the lists: a page may be short, or empty, before the last page.",
        )
        .query("phone", e164(), "Only messages to this number. Not together with `schedule_id`.")
        .query("schedule_id", json!({"type": "string", "format": "uuid"}), "Only messages of this schedule.")
        .queries([parameters::message_status()])
        .queries([parameters::time("from", "Only messages sent at this time or later."), parameters::time("to", "Only messages sent before this time.")])
        .queries(parameters::page(LONG_LIMIT))
        .answers::<Page>(200, "A page.", json!({"messages": [message], "next_cursor": null}))
        .problems(&["not-found"])
}

/// Messages, and the end of the page if there may be more.
struct FoundMessages {
    messages: Vec<Message>,
    next: Option<Cursor>,
}

async fn of_phone(
    connection: &mut MySqlConnection,
    phone: Phone,
    filter: MessageFilter,
    page: PageRequest<Option<Cursor>>,
) -> Result<FoundMessages, ApiError> {
    let before = PageRequest {
        after: page.after.map_or(Uuid::max(), |cursor| cursor.id),
        limit: page.limit,
    };
    let messages = messages_of_phone(connection, phone, filter, before).await?;
    let last = messages
        .last()
        .filter(|_| messages.len() == page.limit as usize);
    let next = last.map(|last| Cursor {
        run_at: DateTime::UNIX_EPOCH,
        id: last.schedule_id,
        seq: last.seq,
    });
    Ok(FoundMessages { messages, next })
}

async fn of_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    filter: MessageFilter,
    page: PageRequest<Option<Cursor>>,
) -> Result<FoundMessages, ApiError> {
    let after = page
        .after
        .filter(|cursor| cursor.id == id)
        .map_or(0, |cursor| cursor.seq);
    let walk = ListWalk::new(after, ROWS_PER_CALL, page.limit);
    let messages = messages_of_schedule(connection, id, filter, walk).await?;
    let end = last_seq(connection, id).await?;
    let next = walk.next(messages.iter().map(|message| message.seq), end);
    let next = next.map(|seq| Cursor {
        run_at: DateTime::UNIX_EPOCH,
        id,
        seq,
    });
    Ok(FoundMessages { messages, next })
}

/// Returns messages schedule by schedule, the latest first, each in the order of its list. A
/// schedule that is planned for later has sent nothing yet. That includes a schedule that begins a
/// few seconds ahead of its time, because none of it is sent before that time.
async fn of_all(
    connection: &mut MySqlConnection,
    filter: MessageFilter,
    page: PageRequest<Option<Cursor>>,
    now: DateTime<Utc>,
) -> Result<FoundMessages, ApiError> {
    let latest = filter.to.map_or(now, |to| to.min(now));
    let begin = page.after.unwrap_or(Cursor {
        run_at: latest,
        id: Uuid::max(),
        seq: 0,
    });
    let before = Candidate {
        id: begin.id,
        run_at: begin.run_at,
    };
    let candidates = schedules_by_time(connection, before, filter.from, SCHEDULES).await?;
    let mut messages = Vec::new();
    let mut rows_left = ROWS_PER_CALL;
    for schedule in &candidates {
        let is_begin = schedule.id == begin.id;
        let after = if is_begin { begin.seq } else { 0 };
        let walk = ListWalk::new(after, rows_left, page.limit - messages.len() as u32);
        let more = messages_of_schedule(connection, schedule.id, filter, walk).await?;
        let end = last_seq(connection, schedule.id).await?;
        let next = walk.next(more.iter().map(|message| message.seq), end);
        messages.extend(more);
        if let Some(seq) = next {
            let next = Some(Cursor::after(schedule, seq));
            return Ok(FoundMessages { messages, next });
        }
        rows_left -= walk.rows(end);
    }
    // The last schedule was read to its end.
    let next = candidates
        .last()
        .filter(|_| candidates.len() == SCHEDULES as usize)
        .map(|last| Cursor::after(last, u32::MAX));
    Ok(FoundMessages { messages, next })
}

async fn with_attempts(
    connection: &mut MySqlConnection,
    messages: Vec<Message>,
    texts: Vec<String>,
) -> Result<Vec<MessageView>, ApiError> {
    let mut earlier: HashMap<(Uuid, u32), Vec<EarlierAttempt>> = HashMap::new();
    for attempt in earlier_attempts(connection, &messages).await? {
        earlier
            .entry((attempt.schedule_id, attempt.seq))
            .or_default()
            .push(attempt);
    }
    let view = |(message, text): (Message, String)| {
        let earlier_attempts = earlier
            .remove(&(message.schedule_id, message.seq))
            .unwrap_or_default();
        MessageView {
            message,
            text,
            earlier_attempts,
        }
    };
    Ok(messages.into_iter().zip(texts).map(view).collect())
}

/// Returns the text of each of these messages.
async fn texts(
    connection: &mut MySqlConnection,
    messages: &[Message],
) -> Result<Vec<String>, ApiError> {
    let ids: BTreeSet<Uuid> = messages.iter().map(|message| message.schedule_id).collect();
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let schedules = load_schedules(connection, &ids).await?;
    let known: HashMap<Uuid, (String, Option<Template>)> = schedules
        .into_iter()
        .map(|schedule| {
            let template = Template::parse(&schedule.message).ok().flatten();
            (schedule.id, (schedule.message, template))
        })
        .collect();
    let template = |id: &Uuid| known.get(id).and_then(|(_, template)| template.as_ref());
    let personal: Vec<(Uuid, u32)> = messages
        .iter()
        .filter(|message| template(&message.schedule_id).is_some())
        .map(|message| (message.schedule_id, message.seq))
        .collect();
    let variables = variables_of(connection, &personal).await?;
    let no_variables = Variables::new();
    let text = |message: &Message| {
        let given = variables
            .get(&(message.schedule_id, message.seq))
            .unwrap_or(&no_variables);
        let made = template(&message.schedule_id).and_then(|template| template.render(given).ok());
        let plain = || {
            known
                .get(&message.schedule_id)
                .map(|(text, _)| text.clone())
                .unwrap_or_default()
        };
        made.map_or_else(plain, |made| made.text)
    };
    Ok(messages.iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_parses_as_it_was_formatted(ms in 0_i64..4_102_444_800_000, id: u128, seq: u32) {
            let cursor = Cursor { run_at: DateTime::from_timestamp_millis(ms).unwrap(), id: Uuid::from_u128(id), seq };
            prop_assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        }

        #[test]
        fn any_text_parses_as_a_cursor_or_is_refused(text in "m?[0-9a-fg-]{0,60}") {
            if let Some(cursor) = Cursor::read(&text) {
                prop_assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
            }
        }
    }
}

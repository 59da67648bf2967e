//! `GET /v1/messages`: lists messages with their earlier attempts: of a number, of a schedule, or
//! of all schedules by time. As JSON, or as a report in CSV or NDJSON.

use std::collections::{BTreeSet, HashMap};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
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
        format::{Format, negotiated, requested},
        page::{PageHead, PageRequest, page_answer},
        query::{LONG_LIMIT, Query, REPORT_LIMIT},
    },
    openapi::{
        Operation,
        parameters::{self, e164, message_states},
    },
    resources::{
        messages::{
            cursor::Cursor,
            find::{FoundMessages, of_all, of_phone, of_reference, of_schedule},
            report::append_messages,
            store::{EarlierAttempt, Message, MessageFilter, earlier_attempts},
        },
        recipients::{
            names::{
                Include, NameFilter, RecipientDetails, RecipientKey, RecipientNames, details_of,
            },
            report::{example, page::ReportPage, row::ReportRow},
            store::variables_of,
        },
    },
};

/// A page of messages.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "MessagePage")]
pub struct Page {
    /// The messages.
    pub messages: Vec<MessageView>,
    /// The cursor of the next page; null on the last page. There may be a next page although this
    /// one is not full.
    pub next_cursor: Option<String>,
}

/// A message, and the attempts before its last.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Message")]
pub struct MessageView {
    #[serde(flatten)]
    message: Message,
    #[serde(flatten)]
    names: RecipientNames,
    /// Its text, with the recipient's variables.
    text: String,
    /// The variables; only with `include=variables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("title" = "StoredVariables"))]
    variables: Option<Variables>,
    earlier_attempts: Vec<EarlierAttempt>,
}

/// The messages that a call selects.
#[derive(Clone, Copy)]
pub enum Selection {
    /// Of a number.
    Phone,
    /// Of a schedule.
    Schedule(Uuid),
    /// With a reference.
    Reference,
    /// Of all schedules.
    All,
}

/// The messages that a call asks for.
#[derive(Clone, Copy)]
pub struct MessageQuery<'a> {
    /// Of what.
    pub selection: Selection,
    /// The number, in the forms in which its column may have it.
    pub forms: &'a [String],
    /// Which of them.
    pub filter: MessageFilter,
    /// With a reference, or of a group.
    pub names: &'a NameFilter,
    /// What is added to each.
    pub include: Option<Include>,
    /// Where the page before has ended.
    pub after: Option<Cursor>,
    /// The time of the call, before it reads anything.
    pub now: DateTime<Utc>,
}

impl MessageQuery<'_> {
    fn head<'a>(&self, uri: &'a Uri, next_cursor: Option<&'a str>) -> PageHead<'a> {
        PageHead {
            uri,
            next_cursor,
            polled_at: self.after.is_none().then_some(self.now),
        }
    }
}

/// Returns 200 with a page.
pub async fn list(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, ApiError> {
    let (selection, phone, names) = read_selection(&mut query);
    let include = query.choice("include", &Include::ALL, Include::as_str);
    let filter = MessageFilter {
        status: query.choice("status", &message_states(), Status::as_str),
        from: query.time("from"),
        to: query.time("to"),
        changed_since: query.time("changed_since"),
    };
    let format = requested(&mut query);
    let limit = query.optional_number("limit", 1..=REPORT_LIMIT.most);
    let after = query.cursor(Cursor::read);
    query.finish()?;
    let format = format.map_or_else(|| negotiated(&headers), Ok)?;
    let forms = phone.map_or_else(Vec::new, |phone| forms_of(&app, phone));
    let wanted = MessageQuery {
        selection,
        forms: &forms,
        filter,
        names: &names,
        include,
        after,
        now: app.db.now(),
    };
    let mut connection = app.db.acquire().await?;
    if format == Format::Json {
        let limit = limit.unwrap_or(LONG_LIMIT.default).min(LONG_LIMIT.most);
        let page = json_page(&mut connection, wanted, limit).await?;
        let next = page.next_cursor.clone();
        return Ok(page_answer(wanted.head(&uri, next.as_deref()), Json(page)));
    }
    let mut page = ReportPage::new(format, limit.unwrap_or(REPORT_LIMIT.default), include)?;
    let next = append_messages(&mut connection, &mut page, wanted).await?;
    let next = next.map(Cursor::write);
    Ok(page_answer(
        wanted.head(&uri, next.as_deref()),
        page.answer()?,
    ))
}

/// Returns the forms in which a column may have a number: as it is, and as the hash under each key.
pub fn forms_of(app: &App, phone: Phone) -> Vec<String> {
    let phone = phone.to_string();
    let hashes = app.webhook_keys.current().person_hashes(&phone);
    std::iter::once(phone).chain(hashes).collect()
}

/// Returns a page of messages with everything that belongs to them.
pub async fn json_page(
    connection: &mut MySqlConnection,
    wanted: MessageQuery<'_>,
    limit: u32,
) -> Result<Page, ApiError> {
    let MessageQuery { filter, after, .. } = wanted;
    let page = PageRequest { after, limit };
    let FoundMessages { messages, next } = match wanted.selection {
        Selection::Phone => of_phone(connection, wanted.forms, filter, page).await?,
        Selection::Schedule(id) => {
            load_schedule(connection, id)
                .await?
                .ok_or_else(ApiError::no_such_schedule)?;
            of_schedule(connection, id, wanted, page).await?
        }
        Selection::Reference => of_reference(connection, wanted, page).await?,
        Selection::All => of_all(connection, filter, page, wanted.now).await?,
    };
    let texts = texts(connection, &messages).await?;
    let messages = complete(connection, messages, texts, wanted.include).await?;
    Ok(Page {
        messages,
        next_cursor: next.map(Cursor::write),
    })
}

/// Reads of what messages are listed, and the names by which they are selected.
fn read_selection(query: &mut Query) -> (Selection, Option<Phone>, NameFilter) {
    let ((selection, phone), names) = (read_owner(query), NameFilter::read(query));
    if matches!(selection, Selection::Phone) && !names.is_empty() {
        let expected = "expected phone, or reference and group, not both";
        query.complain("phone", "not-both", expected);
    }
    if matches!(selection, Selection::All) && names.group.is_some() {
        let expected = "expected schedule_id together with group";
        query.complain("group", "not-alone", expected);
    }
    match selection {
        Selection::All if names.reference.is_some() => (Selection::Reference, phone, names),
        selection => (selection, phone, names),
    }
}

/// Reads the number or the schedule whose messages are listed.
fn read_owner(query: &mut Query) -> (Selection, Option<Phone>) {
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
            Ok(phone) => return (Selection::Phone, Some(phone)),
            Err(error) => query.complain("phone", error.code(), error.to_string()),
        }
    }
    if let Some(given) = schedule {
        match Uuid::try_parse(&given) {
            Ok(id) => return (Selection::Schedule(id), None),
            Err(_) => query.complain(
                "schedule_id",
                "not-an-id",
                "expected the id of a schedule, a UUID",
            ),
        }
    }
    (Selection::All, None)
}

/// Describes `GET /v1/messages` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let earlier = json!({"attempt": 1, "status": "UNDELIV", "message_id": "a1b2c3", "carrier_status": "UNDELIV", "error": null,
        "sent_at": "2027-01-31T01:00:00Z", "final_at": "2027-01-31T01:00:09Z"});
    let message = json!({
        "schedule_id": "0190a0b0-c0d0-7080-8000-00000000000f", "seq": 1, "phone": "+60123456789", "status": "DELIVRD", "attempt": 2,
        "sends": 2, "resends": 1, "message_id": "d4e5f6", "carrier_status": "DELIVRD", "error": null, "sent_at": "2027-01-31T01:05:00Z",
        "final_at": "2027-01-31T01:05:09Z", "reference": "4711", "group": "Penang", "text": "Dear Ana, your parcel is here.", "earlier_attempts": [earlier],
    });
    Operation::new("listMessages", "messages", "List messages")
        .text(
            "Messages of a number (its newest schedule first), with a reference (also), of a schedule, or of all schedules by planned time, the latest first. A call reads \
             at most 100,000 entries of the lists: a page may be short, or empty, before the last page.\n\n\
             `Accept` or `format` chooses JSON, or a report as CSV (RFC 4180, with a header row) or NDJSON (an object per line, \
             `x-item-schema`), whose pages may be much longer. Follow `Link` to the last page. In CSV, an apostrophe precedes text that \
             a spreadsheet would execute.",
        )
        .query("phone", e164(), "Only messages to this number. Not together with `schedule_id`.")
        .query("schedule_id", json!({"type": "string", "format": "uuid"}), "Only messages of this schedule.")
        .queries([parameters::message_status()])
        .queries(parameters::recipient_names("Only recipients of this group. Together with `schedule_id`."))
        .queries([parameters::include()])
        .queries([parameters::time("from", "Only messages sent at this time or later."), parameters::time("to", "Only messages sent before this time.")])
        .queries([parameters::changed_since()])
        .queries(parameters::report_page(LONG_LIMIT, REPORT_LIMIT))
        .answers::<Page>(200, "A page.", json!({"messages": [message], "next_cursor": null}))
        .with_header("Link")
        .with_header("Next-Changed-Since")
        .also_text("text/csv", example::csv())
        .also_lines::<ReportRow>("application/x-ndjson", example::ndjson())
        .problems(&["not-found", "not-acceptable"])
}

async fn complete(
    connection: &mut MySqlConnection,
    messages: Vec<Message>,
    texts: Vec<String>,
    include: Option<Include>,
) -> Result<Vec<MessageView>, ApiError> {
    let mut earlier: HashMap<(Uuid, u32), Vec<EarlierAttempt>> = HashMap::new();
    for attempt in earlier_attempts(connection, &messages).await? {
        earlier
            .entry((attempt.schedule_id, attempt.seq))
            .or_default()
            .push(attempt);
    }
    let keys: Vec<RecipientKey> = messages.iter().map(Message::key).collect();
    let mut details = details_of(connection, &keys, include).await?;
    let view = |(message, text): (Message, String)| {
        let RecipientDetails { names, variables } =
            details.remove(&message.key()).unwrap_or_default();
        let earlier_attempts = earlier
            .remove(&(message.schedule_id, message.seq))
            .unwrap_or_default();
        MessageView {
            message,
            names,
            text,
            variables,
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

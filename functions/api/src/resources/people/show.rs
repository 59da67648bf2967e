//! `GET /v1/people/{phone}`: everything that is known of a number. The access is recorded.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::message::phone::Phone;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{
        error::ApiError,
        path::Path,
        query::{LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::{
        audit::store::{Filter, page_of_entries},
        messages::{
            cursor::Cursor,
            list::{MessageQuery, MessageView, Selection, forms_of, json_page},
            store::MessageFilter,
        },
        recipients::names::{Include, NameFilter},
        suppressions::{
            person_of, phone_of,
            read::{SuppressionView, find_view, view_example},
        },
    },
};

/// The most audit entries that are listed.
const AUDIT_ENTRIES: u32 = 100;

/// What is known of a number.
#[derive(JsonSchema, Serialize)]
pub struct Person {
    phone: String,
    /// Its suppression, with all reasons; null if it has not opted out.
    suppression: Option<SuppressionView>,
    /// The newest entries of the audit log about the number, at most a hundred. Read them with
    /// `GET /v1/audit`.
    audit: Vec<Uuid>,
    /// A page of its messages, with their texts, variables and earlier attempts, the newest schedule
    /// first.
    messages: Vec<MessageView>,
    /// The cursor of the next page of messages; null on the last page.
    next_cursor: Option<String>,
}

/// Returns 200 with what is known.
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(phone): Path<String>,
    mut query: Query,
) -> Result<Json<Person>, ApiError> {
    let limit = query.limit(LIMIT);
    let after = query.cursor(Cursor::read);
    query.finish()?;
    let phone = phone_of(&phone)?;
    let person = person_of(&app, phone);
    let forms = forms_of(&app, phone);
    let wanted = MessageQuery {
        selection: Selection::Phone,
        forms: &forms,
        filter: MessageFilter::default(),
        names: &NameFilter::default(),
        include: Some(Include::Variables),
        after,
        now: app.db.now(),
    };
    let shown = {
        let mut connection = app.db.acquire().await?;
        let page = json_page(&mut connection, wanted, limit).await?;
        Person {
            phone: phone.to_string(),
            suppression: find_view(&mut connection, phone).await?,
            audit: audit_of(&mut connection, &person).await?,
            messages: page.messages,
            next_cursor: page.next_cursor,
        }
    };
    record(&app, &caller, &person, shown.messages.len()).await?;
    Ok(Json(shown))
}

/// Records the access: who has read what is known of a person is known too.
async fn record(app: &App, caller: &Caller, person: &str, messages: usize) -> Result<(), ApiError> {
    audited_transaction(&app.db, caller, |_| {
        Box::pin(async move {
            let change = Change {
                action: "person.read",
                resource: format!("person:{person}"),
                after: Some(json!({ "messages": messages })),
                ..Change::default()
            };
            Ok(((), change))
        })
    })
    .await
}

async fn audit_of(connection: &mut MySqlConnection, person: &str) -> sqlx::Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    for kind in ["person", "suppression"] {
        let filter = Filter {
            actor: None,
            resource: Some(format!("{kind}:{person}")),
            action: None,
            from: Uuid::nil(),
            before: Uuid::max(),
        };
        let entries = page_of_entries(connection, &filter, AUDIT_ENTRIES).await?;
        ids.extend(entries.into_iter().map(|entry| entry.id));
    }
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.truncate(AUDIT_ENTRIES as usize);
    Ok(ids)
}

/// Returns an example of a number.
pub fn phone_example() -> Value {
    json!(Phone::parse("+60123456789").map_or_else(|_| String::new(), |phone| phone.to_string()))
}

/// Describes `GET /v1/people/{phone}` in the OpenAPI document.
pub fn show_doc() -> Operation {
    let example = json!({
        "phone": phone_example(),
        "suppression": view_example(),
        "audit": ["0190a0b0-c0d0-7080-8000-00000000000f"],
        "messages": [],
        "next_cursor": null,
    });
    Operation::new("getPerson", "people", "Get all that is known of a number")
        .text(
            "Messages of schedules whose personal data is erased are found by a keyed hash, and have no number, text and variables any more. \
             The call is recorded in the audit log.",
        )
        .queries(parameters::page(LIMIT))
        .answers::<Person>(200, "What is known.", example)
}

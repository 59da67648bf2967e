//! `GET /v1/schedules/{id}/recipients`: lists the recipients and the state of each, page by page in
//! the order of the list: as JSON, or as a report in CSV or NDJSON.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::message::{status::Status, template::Variables};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    http::{
        error::ApiError,
        format::{Format, negotiated, requested},
        page::{ListWalk, PageHead, PageRequest, ROWS_PER_CALL, page_answer},
        path::Path,
        query::{LONG_LIMIT, Query, REPORT_LIMIT},
    },
    openapi::{Operation, parameters},
    resources::{
        recipients::{
            found::recipients_at,
            names::{
                Include, NameFilter, RecipientDetails, RecipientNames, details_of, keys_in,
                named_seqs,
            },
            report::{
                example, list::ReportedList, page::ReportPage, row::ReportRow, store::ReportFilter,
            },
            store::{Recipient, RecipientFilter, add_calls, end_of_walk, page_of_recipients},
        },
        schedules::show::parse_id,
    },
};

/// A page of recipients.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RecipientPage")]
pub struct Page {
    recipients: Vec<RecipientView>,
    /// The cursor of the next page; null on the last page. With `status`, there may be a next page
    /// although this one is not full, or empty.
    next_cursor: Option<String>,
}

/// A recipient, with what the client's system calls it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Recipient")]
struct RecipientView {
    #[serde(flatten)]
    recipient: Recipient,
    #[serde(flatten)]
    names: RecipientNames,
    /// Its variables; only with `include=variables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("title" = "StoredVariables"))]
    variables: Option<Variables>,
}

/// Returns 200 with a page.
pub async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, ApiError> {
    let id = parse_id(&id)?;
    let format = requested(&mut query);
    let status = query.choice("status", &Status::ALL, Status::as_str);
    let limit = query.optional_number("limit", 1..=REPORT_LIMIT.most);
    let changed_since = query.time("changed_since");
    let names = NameFilter::read(&mut query);
    let include = query.choice("include", &Include::ALL, Include::as_str);
    let cursor = query.cursor(read_cursor);
    query.finish()?;
    let format = format.map_or_else(|| negotiated(&headers), Ok)?;
    let after = cursor.unwrap_or_default();
    let polled_at = cursor.is_none().then(|| app.db.now());
    let head = |next_cursor| PageHead {
        uri: &uri,
        next_cursor,
        polled_at,
    };
    let filter = ReportFilter {
        status,
        changed_since,
        with_invalid: true,
        names: Some(&names).filter(|names| !names.is_empty()),
        ..ReportFilter::default()
    };
    let mut connection = app.db.acquire().await?;
    let list = ReportedList::load(&mut connection, id).await?;
    if format == Format::Json {
        let limit = limit.unwrap_or(LONG_LIMIT.default).min(LONG_LIMIT.most);
        let page = PageRequest { after, limit };
        let page = json_page(&mut connection, list.id(), filter, page).await?;
        let page = page.complete(&mut connection, list.id(), include).await?;
        let next = page.next_cursor.clone();
        return Ok(page_answer(head(next.as_deref()), Json(page)));
    }
    let mut page = ReportPage::new(format, limit.unwrap_or(REPORT_LIMIT.default), include)?;
    let next = page
        .append_list(&mut connection, &list, filter, after)
        .await?;
    let next = next.map(cursor_after);
    Ok(page_answer(head(next.as_deref()), page.answer()?))
}

/// Recipients of a page, and after which place the next one continues.
struct FoundPage {
    recipients: Vec<Recipient>,
    next: Option<u32>,
}

async fn json_page(
    connection: &mut MySqlConnection,
    id: Uuid,
    filter: ReportFilter<'_>,
    page: PageRequest<u32>,
) -> sqlx::Result<FoundPage> {
    if let Some(names) = filter.names {
        let seqs = named_seqs(connection, id, names, page).await?;
        let keys = keys_in(id, seqs.iter().copied());
        let found = recipients_at(connection, &keys, filter).await?;
        let mut recipients: Vec<_> = found.into_iter().map(Recipient::from).collect();
        add_calls(connection, id, &mut recipients).await?;
        let is_full = seqs.len() == page.limit as usize;
        let next = seqs.last().copied().filter(|_| is_full);
        return Ok(FoundPage { recipients, next });
    }
    let walk = ListWalk::new(page.after, ROWS_PER_CALL, page.limit);
    let of_list = RecipientFilter {
        status: filter.status,
        changed_since: filter.changed_since,
    };
    let recipients = page_of_recipients(connection, id, of_list, walk).await?;
    let seqs = recipients.iter().map(|recipient| recipient.seq);
    let (next, _) = end_of_walk(connection, id, walk, seqs).await?;
    Ok(FoundPage { recipients, next })
}

impl FoundPage {
    /// Adds what the client's system calls the recipients, and their variables.
    async fn complete(
        self,
        connection: &mut MySqlConnection,
        id: Uuid,
        include: Option<Include>,
    ) -> sqlx::Result<Page> {
        let seqs = self.recipients.iter().map(|recipient| recipient.seq);
        let keys = keys_in(id, seqs);
        let mut details = details_of(connection, &keys, include).await?;
        let view = |(key, recipient)| {
            let RecipientDetails { names, variables } = details.remove(key).unwrap_or_default();
            RecipientView {
                recipient,
                names,
                variables,
            }
        };
        Ok(Page {
            recipients: keys.iter().zip(self.recipients).map(view).collect(),
            next_cursor: self.next.map(cursor_after),
        })
    }
}

/// Reads a cursor as [`cursor_after`] writes it.
pub fn read_cursor(cursor: &str) -> Option<u32> {
    u32::from_str_radix(cursor.strip_prefix('r')?, 16).ok()
}

/// Returns the cursor of the page after a place of the list.
pub fn cursor_after(seq: u32) -> String {
    format!("r{seq:x}")
}

/// Describes `GET /v1/schedules/{id}/recipients` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let recipient = json!({
        "seq": 1, "phone": "+60123456789", "input": null, "position": null, "call": 1, "status": "DELIVRD", "attempt": 1, "sends": 1, "resends": 0,
        "message_id": "a1b2c3", "carrier_status": "DELIVRD", "error": null, "sent_at": "2027-01-31T01:00:00Z",
        "final_at": "2027-01-31T01:00:09Z", "reference": "4711", "group": "Penang",
    });
    Operation::new("listRecipients", "recipients", "List the recipients and the state of each, in the order of the list")
        .text("`status=INVALID`: entries that were refused under `skip`, with `position`, `input`, and the reason in `error`. \
            A call reads at most 100,000 entries of the list: with `status`, a page may be short, or empty, before the last page.\n\n\
            `Accept` or `format` chooses JSON, or a report as CSV (RFC 4180, with a header row) or NDJSON (an object per line, \
            `x-item-schema`), whose pages may be much longer. Follow `Link` to the last page. In CSV, an apostrophe precedes text that \
            a spreadsheet would execute.")
        .queries([parameters::status(), parameters::changed_since()])
        .queries(parameters::recipient_names("Only recipients of this group."))
        .queries([parameters::include()])
        .queries(parameters::report_page(LONG_LIMIT, REPORT_LIMIT))
        .answers::<Page>(200, "A page.", json!({"recipients": [recipient], "next_cursor": null}))
        .with_header("Link")
        .with_header("Next-Changed-Since")
        .also_text("text/csv", example::csv())
        .also_lines::<ReportRow>("application/x-ndjson", example::ndjson())
        .problems(&["not-found", "not-acceptable"])
}

//! Messages as a report: page by page like `messages::list`, with longer pages.

use sqlx::MySqlConnection;

use crate::{
    http::{error::ApiError, page::PageRequest},
    resources::{
        messages::{
            cursor::Cursor,
            list::{MessageQuery, Selection},
            store::{
                Candidate, Message, MessageFilter, SCHEDULES, messages_of_person, schedules_by_time,
            },
        },
        recipients::{
            found::recipients_at,
            names::recipients_with_reference,
            report::{
                list::ReportedList,
                page::ReportPage,
                store::{ReportFilter, ReportedRecipient},
            },
        },
    },
};

/// Messages of a number or a reference that are read at a time. Each is of another schedule, which is read too.
const CHUNK_OF_PHONE: u32 = 100;

/// Appends messages to a page, and returns where the next page continues, if there may be
/// more.
pub async fn append_messages(
    connection: &mut MySqlConnection,
    page: &mut ReportPage,
    wanted: MessageQuery<'_>,
) -> Result<Option<Cursor>, ApiError> {
    let MessageQuery { filter, after, .. } = wanted;
    match wanted.selection {
        Selection::Phone => append_of_phone(connection, page, wanted).await,
        Selection::Schedule(id) => {
            let list = ReportedList::load(connection, id).await?;
            let after = Cursor::seq_in(after, id);
            let of_list = ReportFilter {
                names: Some(wanted.names).filter(|names| !names.is_empty()),
                ..filter.of_list()
            };
            let next = page.append_list(connection, &list, of_list, after).await?;
            Ok(next.map(|seq| Cursor::in_schedule(id, seq)))
        }
        Selection::Reference => append_of_reference(connection, page, wanted).await,
        Selection::All => {
            let begin = Cursor::begin(after, filter, wanted.now);
            append_all(connection, page, filter, begin).await
        }
    }
}

async fn append_all(
    connection: &mut MySqlConnection,
    page: &mut ReportPage,
    filter: MessageFilter,
    mut begin: Cursor,
) -> Result<Option<Cursor>, ApiError> {
    loop {
        let since = filter.unfinished_since();
        let candidates = schedules_by_time(connection, begin.candidate(), since, SCHEDULES).await?;
        for schedule in &candidates {
            let after = if schedule.id == begin.id {
                begin.seq
            } else {
                0
            };
            let list = ReportedList::load(connection, schedule.id).await?;
            let next = page
                .append_list(connection, &list, filter.of_list(), after)
                .await?;
            if let Some(seq) = next {
                return Ok(Some(Cursor::after(schedule, seq)));
            }
        }
        let Some(last) = last_of_full(&candidates) else {
            return Ok(None);
        };
        // The last list was read to its end.
        begin = Cursor::after(last, u32::MAX);
        if page.is_full() {
            return Ok(Some(begin));
        }
    }
}

/// Returns the last of these schedules, if there may be more.
fn last_of_full(candidates: &[Candidate]) -> Option<&Candidate> {
    candidates
        .last()
        .filter(|_| candidates.len() == SCHEDULES as usize)
}

async fn append_of_phone(
    connection: &mut MySqlConnection,
    page: &mut ReportPage,
    wanted: MessageQuery<'_>,
) -> Result<Option<Cursor>, ApiError> {
    let filter = wanted.filter;
    let mut before = Cursor::key(wanted.after);
    while !page.is_full() {
        let limit = page.rows_left().min(CHUNK_OF_PHONE);
        let request = PageRequest {
            after: before,
            limit,
        };
        let found = messages_of_person(connection, wanted.forms, filter, request).await?;
        let is_last = found.len() < limit as usize;
        page.count_entries(found.len() as u32);
        for message in found {
            let key = message.key();
            let list = ReportedList::load(connection, key.schedule_id).await?;
            for row in list
                .complete(connection, vec![recipient(message)], page.include())
                .await?
            {
                if !page.append(&row)? {
                    return Ok(Some(Cursor::in_schedule(before.schedule_id, before.seq)));
                }
            }
            before = key;
        }
        if is_last {
            return Ok(None);
        }
    }
    Ok(Some(Cursor::in_schedule(before.schedule_id, before.seq)))
}

/// Appends the messages with a reference, the newest schedule first.
async fn append_of_reference(
    connection: &mut MySqlConnection,
    page: &mut ReportPage,
    wanted: MessageQuery<'_>,
) -> Result<Option<Cursor>, ApiError> {
    let reference = wanted.names.reference.as_deref().unwrap_or_default();
    let mut after = Cursor::key(wanted.after);
    while !page.is_full() {
        let limit = page.rows_left().min(CHUNK_OF_PHONE);
        let request = PageRequest { after, limit };
        let keys = recipients_with_reference(connection, reference, request).await?;
        page.count_entries(keys.len() as u32);
        for found in recipients_at(connection, &keys, wanted.filter.of_list()).await? {
            let key = found.key();
            let list = ReportedList::load(connection, key.schedule_id).await?;
            let rows = list.complete(connection, vec![found.into()], page.include());
            for row in rows.await? {
                if !page.append(&row)? {
                    return Ok(Some(Cursor::in_schedule(after.schedule_id, after.seq)));
                }
            }
            after = key;
        }
        after = keys.last().copied().unwrap_or(after);
        if keys.len() < limit as usize {
            return Ok(None);
        }
    }
    Ok(Some(Cursor::in_schedule(after.schedule_id, after.seq)))
}

fn recipient(message: Message) -> ReportedRecipient {
    ReportedRecipient {
        seq: message.seq,
        phone: message.phone,
        input: None,
        status: message.status,
        attempt: message.attempt,
        sends: message.sends,
        resends: message.resends,
        message_id: message.message_id,
        carrier_status: message.carrier_status,
        error: message.error,
        sent_at: message.sent_at,
        final_at: message.final_at,
    }
}

//! Finds the messages of a page of JSON: of a number, of a schedule, with a reference, or of all
//! schedules.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::{
        error::ApiError,
        page::{ListWalk, PageRequest, ROWS_PER_CALL},
    },
    resources::{
        messages::{
            cursor::Cursor,
            list::MessageQuery,
            store::{
                Message, MessageFilter, SCHEDULES, messages_of_person, messages_of_schedule,
                schedules_by_time,
            },
        },
        recipients::{
            found::recipients_at,
            names::{RecipientKey, keys_in, named_seqs, recipients_with_reference},
            store::end_of_walk,
        },
    },
};

/// Messages, and the end of the page if there may be more.
pub struct FoundMessages {
    /// The messages.
    pub messages: Vec<Message>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

/// Returns the messages of a number, its newest schedule first.
pub async fn of_phone(
    connection: &mut MySqlConnection,
    forms: &[String],
    filter: MessageFilter,
    page: PageRequest<Option<Cursor>>,
) -> Result<FoundMessages, ApiError> {
    let before = PageRequest {
        after: Cursor::key(page.after),
        limit: page.limit,
    };
    let messages = messages_of_person(connection, forms, filter, before).await?;
    let last = messages
        .last()
        .filter(|_| messages.len() == page.limit as usize);
    let next = last.map(|last| Cursor::in_schedule(last.schedule_id, last.seq));
    Ok(FoundMessages { messages, next })
}

/// Returns the messages of a schedule.
pub async fn of_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
    wanted: MessageQuery<'_>,
    page: PageRequest<Option<Cursor>>,
) -> Result<FoundMessages, ApiError> {
    let after = Cursor::seq_in(page.after, id);
    if !wanted.names.is_empty() {
        let limit = page.limit;
        let page = PageRequest { after, limit };
        let seqs = named_seqs(connection, id, wanted.names, page).await?;
        return at_keys(connection, &keys_in(id, seqs.into_iter()), wanted, limit).await;
    }
    let walk = ListWalk::new(after, ROWS_PER_CALL, page.limit);
    let messages = messages_of_schedule(connection, id, wanted.filter, walk).await?;
    let seqs = messages.iter().map(|message| message.seq);
    let (next, _) = end_of_walk(connection, id, walk, seqs).await?;
    let next = next.map(|seq| Cursor::in_schedule(id, seq));
    Ok(FoundMessages { messages, next })
}

/// Returns the messages with a reference, the newest schedule first.
pub async fn of_reference(
    connection: &mut MySqlConnection,
    wanted: MessageQuery<'_>,
    page: PageRequest<Option<Cursor>>,
) -> Result<FoundMessages, ApiError> {
    let limit = page.limit;
    let request = PageRequest {
        after: Cursor::key(page.after),
        limit,
    };
    let reference = wanted.names.reference.as_deref().unwrap_or_default();
    let keys = recipients_with_reference(connection, reference, request).await?;
    at_keys(connection, &keys, wanted, limit).await
}

/// Returns the messages at places of lists. If these are `limit` of them, there may be more.
async fn at_keys(
    connection: &mut MySqlConnection,
    keys: &[RecipientKey],
    wanted: MessageQuery<'_>,
    limit: u32,
) -> Result<FoundMessages, ApiError> {
    let found = recipients_at(connection, keys, wanted.filter.of_list()).await?;
    let last = keys.last().filter(|_| keys.len() == limit as usize);
    Ok(FoundMessages {
        messages: found.into_iter().map(Message::from).collect(),
        next: last.map(|last| Cursor::in_schedule(last.schedule_id, last.seq)),
    })
}

/// Returns messages schedule by schedule, the latest first, each in the order of its list.
pub async fn of_all(
    connection: &mut MySqlConnection,
    filter: MessageFilter,
    page: PageRequest<Option<Cursor>>,
    now: DateTime<Utc>,
) -> Result<FoundMessages, ApiError> {
    let begin = Cursor::begin(page.after, filter, now);
    let since = filter.unfinished_since();
    let candidates = schedules_by_time(connection, begin.candidate(), since, SCHEDULES).await?;
    let mut messages = Vec::new();
    let mut rows_left = ROWS_PER_CALL;
    for schedule in &candidates {
        let is_begin = schedule.id == begin.id;
        let after = if is_begin { begin.seq } else { 0 };
        let walk = ListWalk::new(after, rows_left, page.limit - messages.len() as u32);
        let more = messages_of_schedule(connection, schedule.id, filter, walk).await?;
        let seqs = more.iter().map(|message| message.seq);
        let (next, end) = end_of_walk(connection, schedule.id, walk, seqs).await?;
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

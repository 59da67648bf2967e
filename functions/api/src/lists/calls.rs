//! The calls that bring the lists of a schedule: their numbers, with which a position in one of many
//! files is named, and a hash, by which a repeated call is recognised.

use chrono::{DateTime, Utc};
use ring::digest::{Context, SHA256};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::lists::{List, options::NumberTypes};

/// A call that brings a list, in a transaction that has locked its schedule.
#[derive(Clone, Copy, Debug)]
pub struct ListCall {
    /// Its number, from 1.
    pub call_no: u32,
    /// Whether the same list came with an earlier call, which has this number.
    pub is_repeated: bool,
}

impl List {
    /// Returns a hash of the list and of what decides how it is read.
    fn hash(&self) -> [u8; 32] {
        let options = &self.options;
        let charset = options.charset.map(encoding_rs::Encoding::name);
        // Nothing for all kinds, so that lists from before there was a choice are recognised.
        let types = options.types.filter(|types| *types != NumberTypes::Any);
        let types = types.map_or("", NumberTypes::as_str);
        let how = format!(
            "{:?} {} {charset:?} {:?} {:?}{types}\n",
            self.format, self.gzip, options.column, options.country
        );
        // Nothing unless they are given, for the same reason.
        let columns = (&options.reference_column, &options.group_column);
        let names = match columns {
            (None, None) => String::new(),
            columns => format!("{columns:?}\n"),
        };
        let sheet = options.sheet.as_ref();
        let sheet = sheet.map_or_else(String::new, |sheet| format!("{sheet:?}\n"));
        let mut context = Context::new(&SHA256);
        context.update(how.as_bytes());
        context.update(names.as_bytes());
        context.update(sheet.as_bytes());
        context.update(&self.bytes);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}

/// Finds the call that brought the same list, or adds one whose entries begin at `first_seq`.
pub async fn record_call(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    list: &List,
    first_seq: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<ListCall> {
    let hash = list.hash();
    let known = sqlx::query_scalar!(
        "SELECT call_no FROM list_calls WHERE schedule_id = ? AND hash = ?",
        schedule_id,
        &hash[..]
    );
    if let Some(call_no) = known.fetch_optional(&mut *connection).await? {
        return Ok(ListCall {
            call_no,
            is_repeated: true,
        });
    }
    let highest: Option<u32> = sqlx::query_scalar!(
        "SELECT MAX(call_no) FROM list_calls WHERE schedule_id = ?",
        schedule_id
    )
    .fetch_one(&mut *connection)
    .await?;
    let call_no = highest.unwrap_or_default() + 1;
    sqlx::query!(
        "INSERT INTO list_calls (schedule_id, call_no, first_seq, hash, created_at) VALUES (?, ?, ?, ?, ?)",
        schedule_id,
        call_no,
        first_seq,
        &hash[..],
        now
    )
    .execute(connection)
    .await?;
    Ok(ListCall {
        call_no,
        is_repeated: false,
    })
}

//! The hash of what is approved: the text, the sender, the times and the rules of a schedule, and its
//! list with numbers, variables, references and groups, in the order of their places.
//!
//! The list is hashed page by page: the hash of a page begins with the hash of those before it. So
//! memory is bounded, and a call that has no time left stores how far it has come. It is stored only
//! if the list is still the one that was read (`list_version`), so that it is never that of an older
//! list. What is in the schedule's row is hashed anew each time.

use std::time::Instant;

use ring::digest::{Context, SHA256};
use shared::schedule::{
    canary::{CanaryRule, load_canary},
    row::Schedule,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::store::{
    Approval, HASH_BYTES, ListedRecipient, page_of_list, read_approval, store_list_hash,
};
use crate::{App, CALL_BUDGET, http::error::ApiError};

/// Recipients that are hashed together. It decides the hash, so that it never changes.
const PAGE: u32 = 5_000;
/// Pages after which the hash is stored.
const STORED_AFTER: u32 = 20;

/// The format of the hash, its first field.
const FORMAT: &str = "approval-1";

/// Adds fields to a hash, each with its length, so that no two contents have the same bytes.
struct Fields(Context);

impl Fields {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    fn add(&mut self, field: Option<&[u8]>) {
        let length = field.map_or(u64::MAX, |field| field.len() as u64);
        self.0.update(&length.to_be_bytes());
        self.0.update(field.unwrap_or_default());
    }

    fn add_text(&mut self, field: Option<&str>) {
        self.add(field.map(str::as_bytes));
    }

    fn add_number(&mut self, number: Option<i64>) {
        self.add(
            number
                .map(i64::to_be_bytes)
                .as_ref()
                .map(<[u8; 8]>::as_slice),
        );
    }

    fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// Returns the hash of what a schedule sends, if the hash of its list is known. The rate, the priority
/// and what it is called are not part of it.
pub async fn hash_of(
    connection: &mut MySqlConnection,
    row: &Schedule,
    approval: &Approval,
) -> sqlx::Result<Option<Vec<u8>>> {
    let canary = load_canary(connection, row.id).await?;
    Ok(hash_with(row, canary.map(|canary| canary.rule), approval))
}

fn hash_with(row: &Schedule, canary: Option<CanaryRule>, approval: &Approval) -> Option<Vec<u8>> {
    let list = approval.whole_list_hash()?;
    let mut fields = Fields::new();
    fields.add_text(Some(FORMAT));
    fields.add_text(Some(&row.message));
    fields.add_text(row.sender.as_deref());
    fields.add_number(Some(row.run_at.timestamp_millis()));
    fields.add_text(row.send_window.as_deref());
    fields.add_number(row.send_until.map(|end| end.timestamp_millis()));
    for number in [
        row.send_within_s,
        Some(row.max_lateness_s),
        Some(row.max_resends),
        Some(row.resend_within_s),
    ] {
        fields.add_number(number.map(i64::from));
    }
    fields.add_text(Some(row.on_uncertain.as_str()));
    fields.add_text(Some(row.unique_by.as_str()));
    for number in [
        canary.map(|rule| rule.recipients),
        canary.map(|rule| rule.delivered_thousandths),
        canary.map(|rule| rule.within_s),
    ] {
        fields.add_number(number.map(i64::from));
    }
    fields.add(Some(list));
    Some(fields.finish())
}

/// Returns the hash of a list up to the end of this page.
fn chain(before: Option<&[u8]>, page: &[ListedRecipient]) -> Vec<u8> {
    let mut fields = Fields::new();
    fields.add(Some(before.unwrap_or(&[0; HASH_BYTES])));
    for recipient in page {
        fields.add_number(Some(recipient.seq.into()));
        fields.add_text(Some(&recipient.phone));
        fields.add_text(recipient.variables.as_deref());
        fields.add_text(recipient.reference.as_deref());
        fields.add_text(recipient.group_name.as_deref());
    }
    fields.finish()
}

/// Hashes the list of a schedule that needs an approval, for as long as a call may take. Returns its
/// approval, and why it is needed; `None`: it needs none.
pub async fn hash_list(app: &App, id: Uuid) -> Result<Option<(Approval, String)>, ApiError> {
    let begun = Instant::now();
    loop {
        let known = read_approval(&mut *app.db.acquire().await?, id).await?;
        let Some((known, reason)) = known else {
            return Ok(None);
        };
        if known.is_hashed || begun.elapsed() > CALL_BUDGET {
            return Ok(Some((known, reason)));
        }
        let next = hash_pages(app, id, &known).await?;
        store_list_hash(&mut *app.db.acquire().await?, id, &known, &next).await?;
    }
}

/// Hashes the next pages of a list.
async fn hash_pages(app: &App, id: Uuid, known: &Approval) -> sqlx::Result<Approval> {
    let mut next = known.clone();
    for _ in 0..STORED_AFTER {
        let connection = &mut *app.db.acquire().await?;
        let page = page_of_list(connection, id, next.hashed_seq, PAGE).await?;
        next.list_hash = Some(chain(next.list_hash.as_deref(), &page));
        next.hashed_seq = page.last().map_or(next.hashed_seq, |last| last.seq);
        next.is_hashed = page.len() < PAGE as usize;
        if next.is_hashed {
            break;
        }
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(
        seq: u32,
        phone: &str,
        reference: Option<&str>,
        group: Option<&str>,
    ) -> ListedRecipient {
        ListedRecipient {
            seq,
            phone: phone.to_owned(),
            variables: None,
            reference: reference.map(str::to_owned),
            group_name: group.map(str::to_owned),
        }
    }

    #[test]
    fn two_lists_have_the_same_hash_only_if_they_are_the_same() {
        let one = || recipient(1, "+60123456789", Some("a"), None);
        let lists = [
            vec![],
            vec![one()],
            vec![recipient(2, "+60123456789", Some("a"), None)],
            vec![recipient(1, "+6012345678", Some("a"), None)],
            vec![recipient(1, "+60123456789", None, Some("a"))],
            vec![recipient(1, "+60123456789", Some(""), Some("a"))],
            vec![recipient(1, "+60123456789a", Some(""), None)],
            vec![one(), recipient(2, "+60123456780", None, None)],
            vec![recipient(2, "+60123456780", None, None), one()],
        ];
        let hashes: std::collections::HashSet<_> =
            lists.iter().map(|list| chain(None, list)).collect();
        assert_eq!(hashes.len(), lists.len());
        assert_eq!(chain(None, &[one()]), chain(None, &[one()]));
        let first = chain(None, &[one()]);
        assert_ne!(chain(Some(&first), &[]), first, "an empty page is a page");
    }
}

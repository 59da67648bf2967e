//! References, groups and variables of recipients: which recipients have one, and what a recipient
//! has.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::message::template::Variables;
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::{page::PageRequest, query::Query},
    lists::names::LONGEST,
    resources::recipients::store::variables_of,
};

/// What the client's system calls a recipient, and its group.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct RecipientNames {
    /// What the client's system calls it, as given.
    pub reference: Option<String>,
    /// Its group, as given.
    pub group: Option<String>,
}

/// What an answer adds to a recipient.
#[derive(Clone, Debug, Default)]
pub struct RecipientDetails {
    /// Its reference and group.
    pub names: RecipientNames,
    /// Its variables; `None`: they were not asked for.
    pub variables: Option<Variables>,
}

/// What `?include=` adds to recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// The variables of each.
    Variables,
}

impl Include {
    /// All values.
    pub const ALL: [Self; 1] = [Self::Variables];

    /// Returns the value in the API.
    pub const fn as_str(self) -> &'static str {
        "variables"
    }
}

/// Selects recipients by what the client's system calls them.
#[derive(Clone, Debug, Default)]
pub struct NameFilter {
    /// With this reference.
    pub reference: Option<String>,
    /// Of this group.
    pub group: Option<String>,
}

impl NameFilter {
    /// Reads `?reference=` and `?group=`.
    pub fn read(query: &mut Query) -> Self {
        let mut text = |name| {
            let given = query.text(name)?;
            let is_valid = !given.is_empty() && given.chars().count() <= LONGEST;
            if !is_valid {
                let expected = format!("expected 1 to {LONGEST} characters");
                query.complain(name, "not-a-name", expected);
            }
            is_valid.then_some(given)
        };
        Self {
            reference: text("reference"),
            group: text("group"),
        }
    }

    /// Returns whether nothing is selected by.
    pub const fn is_empty(&self) -> bool {
        self.reference.is_none() && self.group.is_none()
    }
}

/// A recipient of one of many schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct RecipientKey {
    pub schedule_id: Uuid,
    pub seq: u32,
}

/// Returns the places of a schedule's recipients among those of all schedules.
pub fn keys_in(schedule_id: Uuid, seqs: impl Iterator<Item = u32>) -> Vec<RecipientKey> {
    seqs.map(|seq| RecipientKey { schedule_id, seq }).collect()
}

/// Returns the places of the recipients of a schedule that a filter with a reference or a group
/// selects, after a place. The index ignores case, the comparison does not.
pub async fn named_seqs(
    connection: &mut MySqlConnection,
    id: Uuid,
    filter: &NameFilter,
    page: PageRequest<u32>,
) -> sqlx::Result<Vec<u32>> {
    let group = filter.group.as_deref();
    let Some(reference) = filter.reference.as_deref() else {
        let found = sqlx::query_scalar!(
            "SELECT seq FROM recipient_references FORCE INDEX (by_group)
             WHERE schedule_id = ? AND group_name = ? AND group_name COLLATE utf8mb4_bin = ? AND seq > ? ORDER BY seq LIMIT ?",
            id,
            group,
            group,
            page.after,
            page.limit
        );
        return found.fetch_all(connection).await;
    };
    let found = sqlx::query_scalar!(
        "SELECT seq FROM recipient_references FORCE INDEX (by_reference)
         WHERE reference = ? AND reference COLLATE utf8mb4_bin = ? AND schedule_id = ? AND seq > ?
           AND (? IS NULL OR group_name COLLATE utf8mb4_bin = ?) ORDER BY seq LIMIT ?",
        reference,
        reference,
        id,
        page.after,
        group,
        group,
        page.limit
    );
    found.fetch_all(connection).await
}

/// Returns the recipients of all schedules that have a reference, the newest schedule first, after
/// one of them.
pub async fn recipients_with_reference(
    connection: &mut MySqlConnection,
    reference: &str,
    page: PageRequest<RecipientKey>,
) -> sqlx::Result<Vec<RecipientKey>> {
    let found = sqlx::query_as!(
        RecipientKey,
        r#"SELECT schedule_id AS "schedule_id: Uuid", seq FROM recipient_references FORCE INDEX (by_reference)
           WHERE reference = ? AND reference COLLATE utf8mb4_bin = ? AND schedule_id <= ? AND (schedule_id < ? OR seq < ?)
           ORDER BY schedule_id DESC, seq DESC LIMIT ?"#,
        reference,
        reference,
        page.after.schedule_id,
        page.after.schedule_id,
        page.after.seq,
        page.limit
    );
    found.fetch_all(connection).await
}

/// Returns what answers add to these recipients.
pub async fn details_of(
    connection: &mut MySqlConnection,
    keys: &[RecipientKey],
    include: Option<Include>,
) -> sqlx::Result<HashMap<RecipientKey, RecipientDetails>> {
    let mut details: HashMap<RecipientKey, RecipientDetails> = HashMap::new();
    for row in names_of(connection, keys).await? {
        let (schedule_id, seq) = (row.schedule_id, row.seq);
        let names = RecipientNames {
            reference: row.reference,
            group: row.group_name,
        };
        details
            .entry(RecipientKey { schedule_id, seq })
            .or_default()
            .names = names;
    }
    if include.is_none() {
        return Ok(details);
    }
    let pairs: Vec<_> = keys.iter().map(|key| (key.schedule_id, key.seq)).collect();
    let mut variables = variables_of(connection, &pairs).await?;
    for key in keys {
        let given = variables.remove(&(key.schedule_id, key.seq));
        details.entry(*key).or_default().variables = Some(given.unwrap_or_default());
    }
    Ok(details)
}

struct NamesRow {
    schedule_id: Uuid,
    seq: u32,
    reference: Option<String>,
    group_name: Option<String>,
}

async fn names_of(
    connection: &mut MySqlConnection,
    keys: &[RecipientKey],
) -> sqlx::Result<Vec<NamesRow>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<_> = keys
        .iter()
        .map(|key| (key.schedule_id.simple().to_string(), key.seq))
        .collect();
    let found = sqlx::query_as!(
        NamesRow,
        r#"SELECT n.schedule_id AS "schedule_id: Uuid", n.seq, n.reference, n.group_name
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$[0]', seq INT UNSIGNED PATH '$[1]')) named
           STRAIGHT_JOIN recipient_references n ON n.schedule_id = UNHEX(named.id) AND n.seq = named.seq"#,
        json!(keys).to_string()
    );
    found.fetch_all(connection).await
}

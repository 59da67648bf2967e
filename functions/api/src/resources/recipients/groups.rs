//! `GET /v1/schedules/{id}/groups`: counts the recipients of each group by state.
//!
//! The rows are counted when they are asked for, so that no worker has to maintain the counts. A call
//! counts a bounded part of the list, and a longer list has further pages, whose counts add up.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{message::status::Status, schedule::row::load_schedule};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    http::{
        error::ApiError,
        page::{ListWalk, ROWS_PER_CALL},
        path::Path,
        query::Query,
    },
    openapi::{Operation, parameters},
    resources::{
        recipients::{list::cursor_after, list::read_cursor},
        schedules::{
            show::parse_id,
            store::places::{last_seq, skip_gap},
        },
    },
};

/// Entries that a call counts, at most.
const MOST_ROWS: u32 = 10 * ROWS_PER_CALL;
/// A call begins no further statement after this time: the gateway gives up at 30 s, and a statement
/// is ended after 15 s.
const MOST_TIME: Duration = Duration::from_secs(8);
/// Groups that a call counts separately, at most.
const MOST_GROUPS: usize = 200;

/// The groups of a schedule.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RecipientGroups")]
pub struct GroupPage {
    /// The groups with the recipients that this call has counted, those first that come first in the
    /// list; at most 200.
    groups: Vec<GroupCounts>,
    /// The recipients of all further groups together; null if there are none.
    other: Option<Counts>,
    /// How many entries of the list this call has read.
    entries: u32,
    /// The cursor of the next page; null on the last page. Of a list of more than a million entries
    /// each page has counted a part: add the counts of its pages up.
    next_cursor: Option<String>,
}

/// The recipients of a group.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct GroupCounts {
    /// The group; null for the recipients without one.
    group: Option<String>,
    #[serde(flatten)]
    counts: Counts,
}

/// Numbers of recipients.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "RecipientCounts")]
pub struct Counts {
    /// All of them.
    recipients: u64,
    /// How many are in each state in which there are some.
    counts: BTreeMap<String, u64>,
}

impl Counts {
    fn add(&mut self, status: String, recipients: u64) {
        self.recipients += recipients;
        *self.counts.entry(status).or_default() += recipients;
    }
}

/// The counts of a call, while its parts of the list are added up.
#[derive(Default)]
struct Totals {
    groups: Vec<GroupCounts>,
    places: HashMap<Option<String>, usize>,
    other: Counts,
}

impl Totals {
    /// Adds a part of the list: its rows in the order in which their groups begin in the list.
    fn add(&mut self, rows: Vec<CountedRow>) {
        for row in rows {
            let place = self.places.get(&row.group).copied().or_else(|| {
                let place = self.groups.len();
                (place < MOST_GROUPS).then(|| {
                    self.places.insert(row.group.clone(), place);
                    self.groups.push(GroupCounts {
                        group: row.group.clone(),
                        counts: Counts::default(),
                    });
                    place
                })
            });
            let counts = place.map_or(&mut self.other, |place| &mut self.groups[place].counts);
            counts.add(row.status, row.recipients.unsigned_abs());
        }
    }
}

/// Returns 200 with the counts.
pub async fn groups(
    State(app): State<App>,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<Json<GroupPage>, ApiError> {
    let id = parse_id(&id)?;
    let cursor = query.cursor(read_cursor);
    query.finish()?;
    let begun = Instant::now();
    let mut connection = app.db.acquire().await?;
    let schedule = load_schedule(&mut connection, id).await?;
    schedule.ok_or_else(ApiError::no_such_schedule)?;
    let end = last_seq(&mut connection, id).await?;
    let first = cursor.unwrap_or_default();
    let (mut totals, mut after) = (Totals::default(), first);
    let mut entries = 0;
    while after < end && entries < MOST_ROWS && begun.elapsed() < MOST_TIME {
        let walk = ListWalk::new(after, ROWS_PER_CALL, 0);
        let mut rows = count_by_group(&mut connection, id, walk).await?;
        rows.sort_by_key(|row| row.first_seq);
        totals.add(rows);
        entries += walk.rows(end);
        after = skip_gap(&mut connection, id, walk.through.min(end)).await?;
    }
    Ok(Json(GroupPage {
        groups: totals.groups,
        other: Some(totals.other).filter(|other| other.recipients > 0),
        entries,
        next_cursor: (after < end).then(|| cursor_after(after)),
    }))
}

/// Describes `GET /v1/schedules/{id}/groups` in the OpenAPI document.
pub fn groups_doc() -> Operation {
    let penang =
        json!({"group": "Penang", "recipients": 2, "counts": {"DELIVRD": 1, "ACCEPTD": 1}});
    let none = json!({"group": null, "recipients": 1, "counts": {"DELIVRD": 1}});
    Operation::new("listGroups", "recipients", "Count the recipients of each group by state")
        .text(
            "The group is the one that came with the number; entries that are no numbers (INVALID) are not counted. A call reads at most a million              entries of the list, and shows 200 groups; the others are summed in `other`.",
        )
        .queries([parameters::cursor()])
        .answers::<GroupPage>(200, "The groups.", json!({"groups": [penang, none], "other": null, "entries": 3, "next_cursor": null}))
        .problems(&["not-found"])
}

/// Recipients of one group in one state.
struct CountedRow {
    group: Option<String>,
    status: String,
    recipients: i64,
    first_seq: u32,
}

async fn count_by_group(
    connection: &mut MySqlConnection,
    id: Uuid,
    walk: ListWalk,
) -> sqlx::Result<Vec<CountedRow>> {
    sqlx::query_as!(
        CountedRow,
        r#"SELECT MIN(n.group_name) AS "group?: String", r.status AS "status!: String", COUNT(*) AS "recipients!: i64", MIN(r.seq) AS "first_seq!: u32"
           FROM recipients r LEFT JOIN recipient_references n FORCE INDEX (PRIMARY) ON n.schedule_id = r.schedule_id AND n.seq = r.seq
           WHERE r.schedule_id = ? AND r.seq > ? AND r.seq <= ? AND r.status <> ?
           GROUP BY BINARY n.group_name, r.status ORDER BY NULL"#,
        id,
        walk.after,
        walk.through,
        Status::Invalid.as_str()
    )
    .fetch_all(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(group: usize, recipients: i64) -> CountedRow {
        CountedRow {
            group: Some(group.to_string()),
            status: "PENDING".to_owned(),
            recipients,
            first_seq: 1,
        }
    }

    #[test]
    fn the_first_two_hundred_groups_are_counted_and_the_others_summed() {
        let mut totals = Totals::default();
        totals.add((0..MOST_GROUPS + 2).map(|group| row(group, 3)).collect());
        totals.add(vec![
            row(0, 1),
            row(MOST_GROUPS, 1),
            row(MOST_GROUPS + 9, 1),
        ]);
        assert_eq!(totals.groups.len(), MOST_GROUPS);
        assert_eq!(totals.groups[0].counts.recipients, 4);
        assert_eq!(totals.groups[1].counts.counts["PENDING"], 3);
        assert_eq!(totals.other.recipients, 8);
    }
}

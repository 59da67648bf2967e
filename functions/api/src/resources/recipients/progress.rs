//! `GET /v1/schedules/{id}/progress`: how many messages were sent, and became final, over time.
//!
//! The times of the recipients are read when they are asked for, so that no worker has to maintain
//! counters. Of a long list a part is read, at equal distances: a batch is sent at once, so that one
//! recipient of each tells when. A call takes about as long for ten million recipients as for ten
//! thousand.

use std::{collections::BTreeMap, ops::RangeInclusive};

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::schedule::{row::load_schedule, status::ScheduleStatus};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    http::{error::ApiError, path::Path, query::Query},
    openapi::Operation,
    resources::schedules::{show::parse_id, store::places::parts_of_list},
};

/// Recipients that are read, at most.
const MOST_READ: u32 = 10_000;
/// Points of an answer, at most.
const MOST_POINTS: i64 = 500;
/// Points of an answer for which no interval is given, at most.
const USUAL_POINTS: i64 = 120;
/// Intervals that are chosen, in seconds; beyond, whole days.
const INTERVALS: [i64; 15] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200,
];
const DAY_S: i64 = 86_400;

/// How many messages were sent and became final over time.
#[derive(Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "ScheduleProgress")]
pub struct OverTime {
    /// The length of each interval in seconds.
    interval_s: u32,
    /// Whether the counts are estimated from a part of a long list.
    is_sample: bool,
    /// The intervals from the first message that was sent to the last event, or to now while the
    /// schedule runs, without a gap; at most 500.
    points: Vec<Point>,
}

/// The messages of one interval.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "ProgressPoint")]
pub struct Point {
    /// The begin of the interval.
    at: DateTime<Utc>,
    /// Messages whose last request to the carrier began in it.
    sent: u64,
    /// Messages whose state became final in it.
    #[serde(rename = "final")]
    ended: u64,
}

/// Returns 200 with the counts.
pub async fn progress(
    State(app): State<App>,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<Json<OverTime>, ApiError> {
    let id = parse_id(&id)?;
    let wanted = query.optional_number("interval_s", 1..=DAY_S as u32);
    query.finish()?;
    let mut connection = app.db.acquire().await?;
    let schedule = load_schedule(&mut connection, id).await?;
    let schedule = schedule.ok_or_else(ApiError::no_such_schedule)?;
    let (seqs, step) = sample(&parts_of_list(&mut connection, id).await?);
    let times = times_of(&mut connection, id, &seqs).await?;
    let until = (schedule.status == ScheduleStatus::Running).then(|| app.db.now());
    Ok(Json(OverTime::new(&times, step, wanted, until)))
}

/// Describes `GET /v1/schedules/{id}/progress` in the OpenAPI document.
pub fn progress_doc() -> Operation {
    let point = |at: &str, sent: u64, ended: u64| json!({"at": at, "sent": sent, "final": ended});
    let points = [
        point("2027-01-31T01:00:00Z", 2, 0),
        point("2027-01-31T01:00:10Z", 1, 2),
    ];
    Operation::new("getProgress", "schedules", "Count the messages sent and final over time")
        .text(
            "From the first message to the last event, in intervals of equal length. Of a list of more than 10,000 entries a part is read: then \
             `is_sample` is true, and the counts are estimates. A message that was sent again counts at its last request.",
        )
        .query(
            "interval_s",
            json!({"type": "integer", "minimum": 1, "maximum": DAY_S}),
            "The length of the intervals in seconds, or longer, so that there are at most 500. Default: one that makes at most 120.",
        )
        .answers::<OverTime>(200, "The counts.", json!({"interval_s": 10, "is_sample": false, "points": points}))
        .problems(&["not-found"])
}

impl OverTime {
    /// Counts the times of recipients, each of which stands for `step` of them.
    fn new(times: &[Times], step: u32, wanted: Option<u32>, until: Option<DateTime<Utc>>) -> Self {
        let seconds = |time: Option<DateTime<Utc>>| time.map(|time| time.timestamp());
        let ended = times.iter().filter_map(|times| times.final_at);
        let sent = times.iter().map(|times| times.sent_at);
        let first = seconds(sent.clone().min());
        let last = seconds(sent.chain(ended).chain(until).max());
        let span = first.zip(last).map_or(0, |(first, last)| last - first);
        let interval = interval_of(span, wanted);
        let mut counts: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        if let (Some(first), Some(last)) = (first, last) {
            let all = first.div_euclid(interval)..=last.div_euclid(interval);
            counts.extend(all.map(|place| (place, (0, 0))));
        }
        let place = |time: DateTime<Utc>| time.timestamp().div_euclid(interval);
        for times in times {
            counts.entry(place(times.sent_at)).or_default().0 += u64::from(step);
            // The clock of a worker may be behind, so that a message ends before it is sent.
            if let Some(ended) = times.final_at {
                let ended = place(ended.max(times.sent_at));
                counts.entry(ended).or_default().1 += u64::from(step);
            }
        }
        let point = |(place, (sent, ended)): (i64, (u64, u64))| {
            let at = DateTime::from_timestamp(place * interval, 0)?;
            Some(Point { at, sent, ended })
        };
        Self {
            interval_s: interval as u32,
            is_sample: step > 1,
            points: counts.into_iter().filter_map(point).collect(),
        }
    }
}

/// Returns places of a list at equal distances, at most [`MOST_READ`] and one for each part of the
/// list, and the distance: each place stands for as many.
fn sample(parts: &[RangeInclusive<u32>]) -> (Vec<u32>, u32) {
    let places: u32 = parts.iter().map(|part| part.end() - part.start() + 1).sum();
    let step = places.div_ceil(MOST_READ).max(1);
    // From the middle of the first stretch.
    let seqs = parts
        .iter()
        .flat_map(|part| (part.start() + (step - 1) / 2..=*part.end()).step_by(step as usize));
    (seqs.collect(), step)
}

/// Returns the length of the intervals of a span.
fn interval_of(span: i64, wanted: Option<u32>) -> i64 {
    // Two more points than intervals fit into a span that begins and ends between them.
    let fewest = |points: i64| span / (points - 2) + 1;
    if let Some(wanted) = wanted {
        return i64::from(wanted).max(fewest(MOST_POINTS));
    }
    let least = fewest(USUAL_POINTS);
    let chosen = INTERVALS.into_iter().find(|interval| *interval >= least);
    chosen.unwrap_or_else(|| (least + DAY_S - 1) / DAY_S * DAY_S)
}

/// When the last request of a message began, and when its state became final.
struct Times {
    sent_at: DateTime<Utc>,
    final_at: Option<DateTime<Utc>>,
}

/// Returns the times of the messages of these recipients that the carrier has, or may have, got.
async fn times_of(
    connection: &mut MySqlConnection,
    id: Uuid,
    seqs: &[u32],
) -> sqlx::Result<Vec<Times>> {
    sqlx::query_as!(
        Times,
        r#"SELECT r.sent_at AS "sent_at!: DateTime<Utc>", r.final_at AS "final_at: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (seq INT UNSIGNED PATH '$')) named
           STRAIGHT_JOIN recipients r FORCE INDEX (PRIMARY) ON r.schedule_id = ? AND r.seq = named.seq
           WHERE r.sent_at IS NOT NULL AND r.status NOT IN ('PENDING', 'SENDING', 'CANCELLED', 'SUPPRESSED')"#,
        json!(seqs).to_string(),
        id
    )
    .fetch_all(connection)
    .await
}

#[cfg(test)]
mod tests {
    use shared::message::place::PLACES;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_900_000_000 + seconds, 0).unwrap()
    }

    fn times(sent: i64, ended: Option<i64>) -> Times {
        Times {
            sent_at: at(sent),
            final_at: ended.map(at),
        }
    }

    #[test]
    fn each_message_counts_in_the_intervals_of_its_times() {
        let all = [
            times(0, Some(5)),
            times(1, None),
            times(25, Some(24)),
            times(29, Some(40)),
        ];
        let over_time = OverTime::new(&all, 1, Some(10), None);
        let counts: Vec<_> = over_time
            .points
            .iter()
            .map(|point| (point.at, point.sent, point.ended))
            .collect();
        assert_eq!(
            counts,
            [
                (at(0), 2, 1),
                (at(10), 0, 0),
                (at(20), 2, 1),
                (at(40 - 10), 0, 0),
                (at(40), 0, 1)
            ]
        );
        let sampled = OverTime::new(&all, 100, None, Some(at(60)));
        assert!(sampled.is_sample);
        assert_eq!(
            sampled.points.iter().map(|point| point.sent).sum::<u64>(),
            400
        );
        assert_eq!(sampled.points.last().map(|point| point.at), Some(at(60)));
        assert_eq!(OverTime::new(&[], 1, None, None).points, []);
    }

    #[test]
    fn a_sample_reads_each_part_of_a_list_and_not_its_gaps() {
        assert_eq!(sample(&[]), (vec![], 1));
        assert_eq!(sample(&[1..=3]), (vec![1, 2, 3], 1));
        let copies = PLACES + 1..=PLACES + 20_000;
        let (seqs, step) = sample(&[1..=80_000, copies.clone()]);
        assert_eq!(step, 10);
        assert_eq!(seqs.len(), 10_000);
        assert_eq!(
            seqs.iter().filter(|seq| copies.contains(seq)).count(),
            2_000
        );
    }

    #[test]
    fn an_answer_never_has_more_points_than_it_may() {
        for span in [
            0,
            1,
            59,
            118,
            119,
            3_599,
            86_399,
            700_000,
            40_000_000,
            400_000_000,
        ] {
            for (wanted, most) in [(None, USUAL_POINTS), (Some(1), MOST_POINTS)] {
                for offset in [0, 1, 7, 599] {
                    let all = [times(offset, Some(offset + span))];
                    let points = OverTime::new(&all, 1, wanted, None).points.len() as i64;
                    assert!(points <= most, "{span} {wanted:?} {offset}: {points}");
                }
            }
        }
        assert_eq!(interval_of(3_000, None), 30);
        assert_eq!(interval_of(100, Some(60)), 60);
    }
}

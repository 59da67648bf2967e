//! `POST /v1/schedules/{id}/dry-run`: reports what a schedule that has not begun would send. Nothing
//! is written.
//!
//! Of a long list only a part is examined, which is spread over the list, so that the call takes
//! about as long for ten million recipients as for a hundred thousand.

use axum::{Json, extract::State};
use chrono::{DateTime, FixedOffset, Offset, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    batch::texts::read_variables,
    message::{
        place::Place,
        template::{Template, Variables},
        window::Window,
    },
    money::{budgets::Quantities, prices::current_table},
    schedule::{
        priority::Priority,
        row::{Schedule, load_schedule},
        status::ScheduleStatus,
        unique_by::UniqueBy,
    },
};
use uuid::Uuid;

use crate::{
    App,
    http::{error::ApiError, path::Path, query::Query},
    lists::entry::Personal,
    openapi::{Operation, parameters::AHEAD},
    resources::schedules::{
        budget::{ExceededBudget, StartTimes, Stored, exceeded_by},
        dry_run::{
            add_members,
            cost::{self, CostEstimate, Scale},
            parsed::{ParsedList, Removed},
            store::{Addressee, Places, addressees_at},
            texts::{Texts, texts_example},
        },
        edit::end_of,
        examples::forecast_example,
        forecast::{Forecast, Forecaster, Load, Planned},
        show::{RecipientTotals, parse_id},
        state::begun,
        store::{lock_schedule, places::last_seq},
    },
};

/// Places of a list that are examined, at most.
const MOST_PLACES: u32 = 100_000;
/// Parts of a list that are examined, each of them with consecutive places.
const RANGES: u32 = 10;

/// What a schedule that has not begun would send.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ScheduleDryRun")]
pub struct Report {
    /// Always true.
    #[schemars(extend("const" = true))]
    dry_run: bool,
    /// Whether the schedule can begin: it has recipients, its time is in the future, and no budget
    /// refuses it.
    accepted: bool,
    run_at: DateTime<FixedOffset>,
    /// The result of the lists that were appended so far.
    recipients: RecipientTotals,
    /// How many recipients were examined: all of them, or a part of a long list, from which
    /// `parts_total`, `requests` and the forecast are estimated.
    examined: u64,
    /// Whether that is a part of the list.
    is_sample: bool,
    /// Of the examined numbers, those that have opted out so far, to which nothing would be sent.
    suppressed: u64,
    /// The texts of the other examined recipients.
    #[serde(flatten)]
    texts: Texts,
    /// Parts of all messages.
    parts_total: u64,
    /// Requests to the carrier, if each holds as many numbers as it can.
    requests: u64,
    /// The cost by the current prices, estimated as `parts_total` is; null if there are no prices.
    cost: Option<CostEstimate>,
    /// The budgets of which less is left than this schedule needs.
    exceeded_budgets: Vec<ExceededBudget>,
    /// The priority of the schedule.
    priority: Priority,
    #[serde(flatten)]
    forecast: Forecast,
}

/// Returns 200 with the report.
pub async fn dry_run(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Report>, ApiError> {
    query.finish()?;
    let schedule = NotBegun::read(&app, parse_id(&id)?).await?;
    let mut parsed = schedule.examine(&app).await?;
    let examined = parsed.count();
    let (suppressed, prices) = {
        let connection = &mut *app.db.acquire().await?;
        let suppressed = parsed.remove(connection, Removed::Suppressed).await?;
        (suppressed, current_table(connection).await?)
    };
    let (row, parts) = (&schedule.row, schedule.parts());
    let scale = schedule.scale(examined);
    let cost = prices.map(|prices| CostEstimate::of(&prices, parsed.addressed(parts), scale));
    let load = parsed.load(parts, row.rate, app.capacity);
    let load = schedule.whole(examined, load);
    let needed = Quantities {
        parts: load.parts,
        micros: cost.as_ref().map_or(0, CostEstimate::micros),
    };
    let exceeded_budgets = schedule.exceeded_budgets(&app, needed).await?;
    let is_refused = exceeded_budgets.iter().any(ExceededBudget::refuses);
    let offset: FixedOffset = row.run_at_offset.parse().unwrap_or_else(|_| Utc.fix());
    let forecaster = Forecaster::read(&app, &[]).await?.without(row.id);
    Ok(Json(Report {
        dry_run: true,
        accepted: row.recipient_count > 0 && row.run_at > app.db.now() && !is_refused,
        run_at: row.run_at.with_timezone(&offset),
        recipients: RecipientTotals::of(row),
        examined,
        is_sample: schedule.places() > MOST_PLACES,
        suppressed,
        texts: parsed.into_texts(&row.message, parts)?,
        parts_total: load.parts,
        requests: load.requests,
        cost,
        exceeded_budgets,
        priority: row.priority,
        forecast: forecaster.forecast_new(&schedule.planned(load), offset),
    }))
}

/// Describes `POST /v1/schedules/{id}/dry-run` in the OpenAPI document.
pub fn dry_run_doc() -> Operation {
    Operation::new("dryRunSchedule", "schedules", "Report what a schedule that has not begun would send")
        .text(
            "Writes nothing. Of a list of more than 100,000 entries a part is examined, which is spread over the list: then `is_sample` is true, `suppressed`, \
             `parts_by_count` and `longest` are of the examined recipients, and `parts_total`, `requests` and the forecast are estimated from them.",
        )
        .answers::<Report>(200, "What it would send.", report_example())
        .problems(&["not-found", "schedule-begun"])
}

fn report_example() -> Value {
    let mut report = json!({
        "dry_run": true, "accepted": true, "run_at": AHEAD, "recipients": {"total": 2, "invalid": 0, "duplicates": 0}, "examined": 2,
        "is_sample": false, "suppressed": 0, "parts_total": 2, "requests": 1, "cost": cost::example(), "exceeded_budgets": [],
        "priority": "normal",
    });
    add_members(&mut report, texts_example());
    add_members(&mut report, forecast_example());
    report
}

/// A schedule that has not begun, and its message.
struct NotBegun {
    row: Schedule,
    /// The last position of its list that may be used.
    last_position: u32,
    /// The largest number of its recipients with one number.
    copies: u32,
    template: Option<Template>,
    /// When it begins.
    start: DateTime<Utc>,
}

impl NotBegun {
    /// Reads a schedule. Waits for an append that is in progress.
    async fn read(app: &App, id: Uuid) -> Result<Self, ApiError> {
        use ScheduleStatus::{AwaitingApproval, Draft, Scheduled};
        let connection = &mut *app.db.acquire().await?;
        let locked = lock_schedule(connection, id).await?;
        let locked = locked.ok_or_else(ApiError::no_such_schedule)?;
        if !matches!(locked.status, Draft | AwaitingApproval | Scheduled) {
            let expected = "a dry run is possible for a schedule that is draft or scheduled";
            return Err(begun(&locked, expected));
        }
        let row = load_schedule(connection, id).await?;
        let row = row.ok_or_else(ApiError::no_such_schedule)?;
        let copies = match row.unique_by {
            UniqueBy::Phone => 1,
            UniqueBy::Reference => Place::of(last_seq(connection, id).await?).copy + 1,
        };
        let template = Template::parse(&row.message);
        Ok(Self {
            template: template.map_err(|error| ApiError::Internal(error.to_string()))?,
            row,
            start: locked.start().at(),
            last_position: locked.next_seq.saturating_sub(1),
            copies,
        })
    }

    /// Returns how many places the parts of the list have together.
    const fn places(&self) -> u32 {
        self.last_position.saturating_mul(self.copies)
    }

    /// Returns the budgets that it exceeds. `estimated` is what it needs, from what was examined.
    async fn exceeded_budgets(
        &self,
        app: &App,
        estimated: Quantities,
    ) -> sqlx::Result<Vec<ExceededBudget>> {
        let stored = Stored {
            id: self.row.id,
            is_draft: self.row.status == ScheduleStatus::Draft,
            estimated,
        };
        let times = StartTimes {
            start: self.start,
            now: app.db.now(),
        };
        exceeded_by(&mut *app.db.acquire().await?, stored, times).await
    }

    /// Renders the texts of the recipients, or of those at some places.
    async fn examine(&self, app: &App) -> Result<ParsedList, ApiError> {
        let connection = &mut *app.db.acquire().await?;
        let mut parsed = ParsedList::default();
        let examined = examined_places(self.places());
        let examined = examined.into_iter();
        for places in examined.flat_map(|places| parts_of(places, self.last_position)) {
            for addressee in addressees_at(connection, self.row.id, places).await? {
                let seq = addressee.seq;
                if let Some(personal) = self.rendered(addressee)? {
                    parsed.add_personal(&personal, seq);
                }
            }
        }
        Ok(parsed)
    }

    /// Renders the text of a recipient; `None` if it cannot be rendered, which an append refuses.
    fn rendered(&self, addressee: Addressee) -> sqlx::Result<Option<Personal>> {
        let Ok(phone) = addressee.phone.parse() else {
            return Ok(None);
        };
        let Some(template) = &self.template else {
            return Ok(Some(Personal::plain(phone)));
        };
        let json = addressee.variables.unwrap_or_default();
        let variables = if json.is_empty() {
            Variables::new()
        } else {
            read_variables(&json)?
        };
        let rendered = template.render(&variables).ok();
        Ok(rendered.map(|rendered| Personal::rendered(phone, json, &rendered)))
    }

    /// Returns the parts of a text without variables; 1 if the message has some.
    const fn parts(&self) -> u16 {
        if self.template.is_some() {
            1
        } else {
            self.row.parts
        }
    }

    /// Returns the load of the whole list, from that of the examined recipients.
    fn whole(&self, examined: u64, load: Load) -> Load {
        let total = u64::from(self.row.recipient_count - self.row.cancelled_count);
        if examined == 0 {
            let parts = total * u64::from(self.row.parts);
            return Load {
                messages: total,
                parts,
                requests: total,
                ..load
            };
        }
        let scaled = |part: u64| (part * total).div_ceil(examined);
        Load {
            messages: scaled(load.messages),
            parts: scaled(load.parts),
            requests: scaled(load.requests),
            ..load
        }
    }

    /// Returns how the examined recipients stand for the whole list.
    fn scale(&self, examined: u64) -> Scale {
        Scale {
            total: u64::from(self.row.recipient_count - self.row.cancelled_count),
            examined,
        }
    }

    fn planned(&self, load: Load) -> Planned {
        Planned {
            priority: self.row.priority,
            run_at: self.row.run_at,
            window: Window::of(self.row.send_window.as_deref()),
            end: end_of(&self.row),
            load,
        }
    }
}

/// Returns the places of some of all entries, of a list whose parts have this many positions each.
fn parts_of(all: Places, positions: u32) -> impl Iterator<Item = Places> {
    let copy_of = move |entry: u32| (entry - 1) / positions.max(1);
    (copy_of(all.first)..=copy_of(all.last)).map(move |copy| {
        let before = copy * positions;
        let place = |position| Place { position, copy }.seq();
        Places {
            first: place(all.first.saturating_sub(before).max(1)),
            last: place((all.last - before).min(positions)),
        }
    })
}

/// Returns the places that are examined: all of a short list, and of a long one parts of equal
/// length at equal distances.
fn examined_places(last: u32) -> Vec<Places> {
    let length = MOST_PLACES / RANGES;
    if last <= MOST_PLACES {
        let firsts = (1..=last).step_by(length as usize);
        let places = |first: u32| Places {
            first,
            last: last.min(first + length - 1),
        };
        return firsts.map(places).collect();
    }
    let distance = last / RANGES;
    let places = |range: u32| Places {
        first: range * distance + 1,
        last: range * distance + length,
    };
    (0..RANGES).map(places).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_list_with_copies_are_examined() {
        let parts = |first, last| {
            let parts = parts_of(Places { first, last }, 10);
            parts
                .map(|places| (places.first, places.last))
                .collect::<Vec<_>>()
        };
        assert_eq!(parts(3, 10), [(3, 10)]);
        assert_eq!(parts(11, 12), [(100_000_001, 100_000_002)]);
        let whole = [
            (1, 10),
            (100_000_001, 100_000_010),
            (200_000_001, 200_000_003),
        ];
        assert_eq!(parts(1, 23), whole);
    }

    #[test]
    fn at_most_a_hundred_thousand_places_are_examined() {
        let examined = |last| {
            let places = examined_places(last);
            for pair in places.windows(2) {
                assert!(pair[0].last < pair[1].first, "{last}: {pair:?}");
            }
            let count = |places: &Places| places.last - places.first + 1;
            let end = places.last().map_or(0, |places| places.last);
            (places.iter().map(count).sum::<u32>(), end)
        };
        for last in [0, 1, 9_999, 10_000, 10_001, 99_999, 100_000] {
            assert_eq!(examined(last), (last, last));
        }
        for last in [100_001, 150_000, 10_000_000, u32::MAX] {
            let (count, end) = examined(last);
            assert!(
                count == MOST_PLACES && end <= last && end > last / 10 * 9,
                "{last} {end}"
            );
        }
    }
}

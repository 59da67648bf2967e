//! The list of one schedule, and what a report adds to its recipients: the planned time and the
//! number of parts.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shared::{
    batch::SeqRange,
    message::{
        status::Status,
        template::{Template, Variables},
    },
    money::{
        amount::Amount,
        prices::{PriceTable, list_of_schedule, read_table},
    },
    schedule::row::{Schedule, load_schedule},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    http::error::ApiError,
    resources::recipients::{
        names::{Include, RecipientKey, details_of, keys_in},
        report::{
            row::{Added, RecipientCost, ReportRow},
            store::{PlannedBatch, ReportedRecipient, planned_batches},
        },
    },
};

/// The list of a schedule.
pub struct ReportedList {
    schedule: Schedule,
    /// The template, if each recipient has a text of its own.
    template: Option<Template>,
    /// The prices of its cut, if it has some.
    prices: Option<Arc<PriceTable>>,
}

impl ReportedList {
    /// Reads the schedule of a list. Fails with 404 if there is none.
    pub async fn load(connection: &mut MySqlConnection, id: Uuid) -> Result<Self, ApiError> {
        let schedule = load_schedule(connection, id).await?;
        let schedule = schedule.ok_or_else(ApiError::no_such_schedule)?;
        let template = Template::parse(&schedule.message).ok().flatten();
        let prices = match list_of_schedule(connection, id).await? {
            Some(list) => Some(read_table(connection, list).await?),
            None => None,
        };
        Ok(Self {
            schedule,
            template,
            prices,
        })
    }

    /// Returns the id of the schedule.
    pub const fn id(&self) -> Uuid {
        self.schedule.id
    }

    /// Completes recipients of this list, which are in its order.
    pub async fn complete(
        &self,
        connection: &mut MySqlConnection,
        recipients: Vec<ReportedRecipient>,
        include: Option<Include>,
    ) -> sqlx::Result<Vec<ReportRow>> {
        let (Some(first), Some(last)) = (recipients.first(), recipients.last()) else {
            return Ok(Vec::new());
        };
        let id = self.id();
        let range = SeqRange::new(first.seq, last.seq);
        let batches = planned_batches(connection, id, range).await?;
        let keys = keys_in(id, recipients.iter().map(|recipient| recipient.seq));
        let needed = include.or_else(|| self.template.as_ref().map(|_| Include::Variables));
        let mut details = details_of(connection, &keys, needed).await?;
        let row = |(key, recipient): (&RecipientKey, ReportedRecipient)| {
            let mut details = details.remove(key).unwrap_or_default();
            let mut added = Added::default();
            if recipient.status != Status::Invalid.as_str() {
                added.parts = self.parts(details.variables.as_ref());
                added.planned_at = self.planned_at(recipient.seq, &batches);
                added.cost = self.cost(&recipient, added.parts);
            }
            details.variables = details.variables.filter(|_| include.is_some());
            ReportRow::new(id, recipient, Added { details, ..added })
        };
        Ok(keys.iter().zip(recipients).map(row).collect())
    }

    /// Returns the number of parts of a recipient's text.
    fn parts(&self, given: Option<&Variables>) -> Option<u16> {
        let no_variables = Variables::new();
        match &self.template {
            Some(template) => {
                let made = template.render(given.unwrap_or(&no_variables));
                made.ok().map(|made| made.parts)
            }
            None => Some(self.schedule.parts),
        }
    }

    /// Returns what the messages to a recipient have cost, if the schedule has prices.
    fn cost(&self, recipient: &ReportedRecipient, parts: Option<u16>) -> RecipientCost {
        let Some(prices) = &self.prices else {
            return RecipientCost::default();
        };
        let phone = recipient.phone.as_deref().unwrap_or_default();
        let price = prices.of_text(phone).map(|price| price.micros);
        let sent = u64::from(recipient.sends) * u64::from(parts.unwrap_or(0));
        RecipientCost {
            price: price.map(Amount),
            cost: price.map(|micros| Amount(micros * sent)),
            currency: Some(prices.list.currency.clone()),
        }
    }

    /// Returns when a message was first to be sent: the time of its batch, or of the schedule until
    /// the list is cut into batches.
    fn planned_at(&self, seq: u32, batches: &[PlannedBatch]) -> Option<DateTime<Utc>> {
        let batch = batches.get(batches.partition_point(|batch| batch.last_seq < seq));
        let of_batch = batch.filter(|batch| batch.first_seq <= seq);
        let of_schedule = self.schedule.batch_count.is_none();
        of_batch
            .map(|batch| batch.planned_at)
            .or_else(|| of_schedule.then_some(self.schedule.run_at))
    }
}

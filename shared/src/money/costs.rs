//! What schedules are planned to cost, and what they have cost.

use std::sync::Arc;

use sqlx::MySqlConnection;
use uuid::Uuid;

use super::prices::{PriceList, PriceTable, current_list, read_table};
use crate::{
    message::phone::Phone,
    platform::{db::Db, queue::BatchMessage},
};

/// Parts and their cost. Parts to numbers without a price are counted, and are in no sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Message parts.
    pub parts: u64,
    /// The cost of those that have a price, in millionths of the currency unit.
    pub micros: u64,
    /// The parts that have none.
    pub unpriced_parts: u64,
}

impl Cost {
    /// Returns the cost of a message of `parts` parts.
    pub fn of(table: Option<&PriceTable>, phone: &str, parts: u16) -> Self {
        let parts = u64::from(parts);
        let price = table.and_then(|table| table.of_text(phone));
        Self {
            parts,
            micros: price.map_or(0, |price| price.micros * parts),
            unpriced_parts: if price.is_some() { 0 } else { parts },
        }
    }

    /// Adds another cost.
    pub const fn add(&mut self, other: Self) {
        self.parts += other.parts;
        self.micros += other.micros;
        self.unpriced_parts += other.unpriced_parts;
    }
}

/// Adds up what new recipients of a schedule will cost, by the current prices. Counts nothing if
/// there are neither prices nor budgets.
#[derive(Debug, Default)]
pub struct Planner {
    table: Option<Arc<PriceTable>>,
    is_needed: bool,
}

/// The planned cost of new recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedCost {
    /// There are prices or budgets.
    is_needed: bool,
    /// Recipients that get the text of the schedule.
    plain: u32,
    /// The cost of a part of each of them.
    plain_micros: u64,
    /// Parts of texts that are made for one recipient.
    own_parts: u64,
    /// Their cost.
    own_micros: u64,
    /// Recipients whose number has no price.
    unpriced: u32,
}

impl Planner {
    /// Reads whether there are prices or budgets.
    pub async fn read(connection: &mut MySqlConnection) -> sqlx::Result<Self> {
        let table = match current_list(connection).await? {
            Some(list) => Some(read_table(connection, list).await?),
            None => None,
        };
        let is_needed = table.is_some() || budgets_exist(connection).await?;
        Ok(Self { table, is_needed })
    }

    /// Returns whether there are prices or budgets.
    pub const fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// Returns the cost before the first recipient.
    pub const fn start(&self) -> PlannedCost {
        PlannedCost {
            is_needed: self.is_needed,
            plain: 0,
            plain_micros: 0,
            own_parts: 0,
            own_micros: 0,
            unpriced: 0,
        }
    }

    /// Adds a recipient; `own_parts` are the parts of a text made for it, else 0.
    pub fn add(&self, cost: &mut PlannedCost, phone: Phone, own_parts: u16) {
        if !self.is_needed {
            return;
        }
        let price = self.table.as_ref().and_then(|table| table.of(phone));
        let micros = price.map_or(0, |price| price.micros);
        cost.unpriced += u32::from(price.is_none());
        if own_parts == 0 {
            cost.plain += 1;
            cost.plain_micros += micros;
        } else {
            cost.own_parts += u64::from(own_parts);
            cost.own_micros += u64::from(own_parts) * micros;
        }
    }
}

async fn budgets_exist(connection: &mut MySqlConnection) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM budgets) AS "found!: bool""#);
    found.fetch_one(connection).await
}

/// Adds to what a schedule is planned to cost, in the transaction that adds its recipients.
pub async fn add_planned(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    cost: &PlannedCost,
) -> sqlx::Result<()> {
    if !cost.is_needed {
        return Ok(());
    }
    let done = sqlx::query!(
        "INSERT INTO schedule_costs (schedule_id, planned_parts, planned_micros, planned_unpriced)
         SELECT s.id, ? + ? * s.parts, ? + ? * s.parts, ? FROM schedules s WHERE s.id = ?
         ON DUPLICATE KEY UPDATE planned_parts = planned_parts + VALUES(planned_parts),
           planned_micros = planned_micros + VALUES(planned_micros), planned_unpriced = planned_unpriced + VALUES(planned_unpriced)",
        cost.own_parts,
        cost.plain,
        cost.own_micros,
        cost.plain_micros,
        cost.unpriced,
        schedule_id
    );
    done.execute(connection).await.map(drop)
}

/// Gives a schedule the current prices, in the transaction of its cut. Its cost never follows later
/// ones.
pub async fn fix_prices(connection: &mut MySqlConnection, schedule_id: Uuid) -> sqlx::Result<()> {
    let Some(list) = current_list(connection).await? else {
        return Ok(());
    };
    let done = sqlx::query!(
        "INSERT INTO schedule_costs (schedule_id, prices_version) VALUES (?, ?) ON DUPLICATE KEY UPDATE prices_version = VALUES(prices_version)",
        schedule_id,
        list.version
    );
    done.execute(connection).await.map(drop)
}

/// Adds what a pass has cost. If the process crashes before, it is missing here, and nowhere else.
pub async fn add_spent(db: &Db, batch: BatchMessage, cost: Cost) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO batch_costs (schedule_id, batch_no, parts, micros, unpriced_parts) VALUES (?, ?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE parts = parts + VALUES(parts), micros = micros + VALUES(micros),
           unpriced_parts = unpriced_parts + VALUES(unpriced_parts)",
        batch.schedule_id,
        batch.batch_no,
        cost.parts,
        cost.micros,
        cost.unpriced_parts
    );
    done.execute(db).await.map(drop)
}

/// What a schedule is planned to cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct PlannedRow {
    pub planned_parts: u64,
    pub planned_micros: u64,
    pub planned_unpriced: u32,
}

/// Reads what a schedule is planned to cost; `None` if there were neither prices nor budgets.
pub async fn read_planned(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
) -> sqlx::Result<Option<PlannedRow>> {
    let row = sqlx::query_as!(
        PlannedRow,
        "SELECT planned_parts, planned_micros, planned_unpriced FROM schedule_costs WHERE schedule_id = ?",
        schedule_id
    );
    row.fetch_optional(connection).await
}

/// Reads what a schedule has cost so far: a row for each of its batches.
pub async fn read_spent(connection: &mut MySqlConnection, schedule_id: Uuid) -> sqlx::Result<Cost> {
    sqlx::query_as!(
        Cost,
        r#"SELECT CAST(COALESCE(SUM(parts), 0) AS UNSIGNED) AS "parts!: u64", CAST(COALESCE(SUM(micros), 0) AS UNSIGNED) AS "micros!: u64",
             CAST(COALESCE(SUM(unpriced_parts), 0) AS UNSIGNED) AS "unpriced_parts!: u64"
           FROM batch_costs WHERE schedule_id = ?"#,
        schedule_id
    )
    .fetch_one(connection)
    .await
}

/// Returns the prices of a schedule: those of its cut, or the current ones if it is not cut.
pub async fn prices_of(
    connection: &mut MySqlConnection,
    schedule_id: Uuid,
    is_cut: bool,
) -> sqlx::Result<Option<PriceList>> {
    if is_cut {
        super::prices::list_of_schedule(connection, schedule_id).await
    } else {
        current_list(connection).await
    }
}

//! What a pass costs, and what of it the budgets allow.
//!
//! The cost counts the parts that the carrier has accepted, or may have, at the prices of the
//! schedule's cut. A budget of money counts a number without a price at the highest price.

use std::sync::Arc;

use anyhow::Context;
use shared::{
    batch::{
        claim::{Claim, ClaimedBatch},
        worker::Worker,
    },
    events::queue::enqueue,
    message::status::Status,
    money::{
        budgets::{Budget, Quantities, event},
        costs::{Cost, add_spent},
        prices::{PriceTable, current_table, list_of_schedule, read_table},
    },
    platform::{
        db::{Db, describe::describe_one, retry_lock_conflicts},
        metrics::{self, Counter},
    },
};

use super::{
    Pass,
    reservation::{Reservation, Room},
};

/// The cost of a pass.
#[derive(Default)]
pub struct Spending {
    /// The prices of the schedule, if it has some.
    prices: Option<Arc<PriceTable>>,
    /// What was sent so far.
    cost: Cost,
    /// If there are budgets.
    share: Option<Share>,
    /// The budget that keeps the rest of the batch from being sent.
    reached: Option<Box<Budget>>,
}

/// The share of the budgets that a pass has.
struct Share {
    reservation: Reservation,
    /// The prices by which they count.
    prices: Option<Arc<PriceTable>>,
}

impl Share {
    /// Returns what budgets count for a message.
    fn quantities(&self, phone: &str, parts: u16) -> Quantities {
        let parts = u64::from(parts);
        let price = self.prices.as_ref().map_or(0, |prices| {
            let price = prices.of_text(phone);
            price.map_or_else(|| prices.highest(), |price| price.micros)
        });
        Quantities {
            parts,
            micros: parts * price,
        }
    }
}

impl Spending {
    /// Reads the prices of a schedule and the budgets that apply to it. Executes no statement if
    /// there are neither.
    pub async fn read(db: &Db, claim: &Claim, batch: &ClaimedBatch) -> anyhow::Result<Self> {
        let mut spending = Self::default();
        if batch.prices_version.is_some() {
            let mut connection = db.acquire().await?;
            let list = list_of_schedule(&mut connection, claim.batch.schedule_id);
            if let Some(list) = list.await.context("reading the prices")? {
                let table = read_table(&mut connection, list).await;
                spending.prices = Some(table.context("reading the prices")?);
            }
        }
        if batch.budgets_exist {
            let reservation = Reservation::read(db, claim, db.now()).await?;
            let mut prices = spending.prices.clone();
            if prices.is_none() && reservation.counts_money() {
                let mut connection = db.acquire().await?;
                let current = current_table(&mut connection).await;
                prices = current.context("reading the prices")?;
            }
            spending.share = Some(Share {
                reservation,
                prices,
            });
        }
        Ok(spending)
    }

    /// Notes the answer about one message, and the parts of its text. What was certainly not
    /// accepted costs nothing.
    pub fn note(&mut self, phone: &str, answer: Status, parts: u16) {
        if answer == Status::Pending {
            return;
        }
        if let Some(prices) = &self.prices {
            self.cost.add(Cost::of(Some(prices), phone, parts));
        }
        if let Some(share) = &mut self.share {
            let used = share.quantities(phone, parts);
            share.reservation.used = share.reservation.used.plus(used);
        }
    }

    /// Records what the pass has cost.
    async fn record(&self, db: &Db, claim: &Claim) {
        if self.cost == Cost::default() {
            return;
        }
        let recording = retry_lock_conflicts(|| add_spent(db, claim.batch, self.cost));
        if let Err(error) = recording.await {
            tracing::warn!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no,
                error = describe_one(&error), "the cost of a pass is not recorded");
        }
    }
}

impl Pass<'_> {
    /// Reserves what waits, or as much of it as the budgets allow. The rest is not sent in this
    /// pass.
    pub(super) async fn reserve(&mut self) -> anyhow::Result<()> {
        let Some(share) = &mut self.spending.share else {
            return Ok(());
        };
        if !self.requests.has_waiting() {
            return Ok(());
        }
        let quantities = |at: usize| {
            let parts = self.requests.parts_of(at);
            share.quantities(&self.rows[at].phone, parts)
        };
        let each: Vec<_> = self.requests.waiting().map(quantities).collect();
        let db = &self.sender.worker.db;
        match share.reservation.take(db, self.claim, &each).await? {
            Room::All => {}
            Room::First(count, budget) => {
                self.requests.keep_first(count);
                self.summary.stopped |= count == 0;
                self.spending.reached = budget;
            }
        }
        Ok(())
    }

    /// Gives back what the pass has not used, records its cost, warns, and pauses the schedule if a
    /// budget is reached.
    pub(super) async fn settle(&mut self) {
        let db = &self.sender.worker.db;
        self.spending.record(db, self.claim).await;
        let Some(share) = &mut self.spending.share else {
            return;
        };
        let budgets = match share.reservation.settle(db).await {
            Ok(budgets) => budgets,
            Err(error) => {
                // It stays counted.
                tracing::error!(schedule.id = %self.claim.batch.schedule_id, batch.no = self.claim.batch.batch_no,
                    error = describe_one(&error), "a reservation is not given back");
                &[]
            }
        };
        for budget in budgets {
            if budget.warned_at.is_none() && budget.warns_at(budget.used.unwrap_or(0)) {
                warn(&self.sender.worker, budget).await;
            }
        }
        let Some(reached) = self.spending.reached.take() else {
            return;
        };
        let reached = budgets.iter().find(|budget| budget.id == reached.id);
        let Some(reached) = reached.cloned() else {
            return;
        };
        report_reached(&self.sender.worker, &reached).await;
        self.pause_schedule(&reached.reason(), Counter::BudgetsReached)
            .await;
    }
}

/// Notes that a budget warns, and tells it, once in its period.
async fn warn(worker: &Worker, budget: &Budget) {
    match event::warn(&worker.db, budget).await {
        Ok(Some(deliveries)) => {
            metrics::count(Counter::BudgetWarnings, 1);
            tracing::warn!(budget.id = %budget.id, used = budget.used, amount = budget.amount, "a budget is nearly used up");
            enqueue(&worker.notify_queue, &deliveries, worker.db.now()).await;
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(budget.id = %budget.id, error = describe_one(&error), "a budget did not warn");
        }
    }
}

/// Notes that a message did not fit into a budget, and tells it, once in its period.
async fn report_reached(worker: &Worker, budget: &Budget) {
    match event::report_reached(&worker.db, budget).await {
        Ok(Some(deliveries)) => {
            tracing::error!(budget.id = %budget.id, used = budget.used, amount = budget.amount, "a budget is used up");
            enqueue(&worker.notify_queue, &deliveries, worker.db.now()).await;
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(budget.id = %budget.id, error = describe_one(&error), "that a budget is used up is not recorded");
        }
    }
}

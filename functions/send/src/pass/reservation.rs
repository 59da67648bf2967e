//! What a pass may send within the budgets: reserved before the first mark, and given back at its
//! end as far as it was not used.
//!
//! If the process crashes, or the database does not answer, the reservation stays counted: a budget
//! never lets more through than it allows.

use anyhow::Context;
use chrono::{DateTime, Utc};
use shared::{
    batch::claim::Claim,
    money::budgets::{
        Budget, Quantities, Unit, fitting,
        store::{begin_period, budgets_of, creator_of, give_back, reserve, scopes_of},
    },
    platform::db::{Db, retry_lock_conflicts},
};

/// How often a pass tries to reserve while others reserve at the same time.
const TRIES: u32 = 5;

/// What a pass has reserved.
#[derive(Default)]
pub struct Reservation {
    /// The budgets that apply, with their use after the reservation.
    budgets: Vec<Budget>,
    reserved: Quantities,
    /// What was used of it.
    pub used: Quantities,
}

/// How much of what waits a pass may send.
pub enum Room {
    /// All of it.
    All,
    /// The first ones. This budget has no room for the next one; `None`: others have reserved at the
    /// same time, and the next pass tries again.
    First(usize, Option<Box<Budget>>),
}

impl Reservation {
    /// Reads the budgets that apply to a schedule now.
    pub async fn read(db: &Db, claim: &Claim, now: DateTime<Utc>) -> anyhow::Result<Self> {
        Ok(Self {
            budgets: read_budgets(db, claim, now).await?,
            ..Self::default()
        })
    }

    /// Returns whether a budget counts money.
    pub fn counts_money(&self) -> bool {
        self.budgets.iter().any(|budget| budget.unit == Unit::Money)
    }

    /// Reserves as much as fits of these messages, in their order.
    pub async fn take(
        &mut self,
        db: &Db,
        claim: &Claim,
        each: &[Quantities],
    ) -> anyhow::Result<Room> {
        for budget in self.budgets.iter().filter(|budget| budget.used.is_none()) {
            let begun = retry_lock_conflicts(|| begin_period(db, budget.id, budget.span.start));
            begun.await.context("beginning the period of a budget")?;
        }
        for _ in 0..TRIES {
            let count = fitting(&self.budgets, each);
            let sum = each[..count]
                .iter()
                .fold(Quantities::default(), |sum, next| sum.plus(*next));
            if self.reserve_all(db, sum).await? {
                self.reserved = sum;
                return Ok(self.room(each, count));
            }
            // Another pass was faster, or a budget was changed.
            self.budgets = read_budgets(db, claim, db.now()).await?;
        }
        Ok(Room::First(0, None))
    }

    /// Reserves of each budget, in their order, or of none.
    async fn reserve_all(&mut self, db: &Db, sum: Quantities) -> anyhow::Result<bool> {
        for at in 0..self.budgets.len() {
            let quantity = sum.of(self.budgets[at].unit);
            if quantity == 0 {
                continue;
            }
            let budget = &self.budgets[at];
            let reserving = retry_lock_conflicts(|| reserve(db, budget, quantity));
            let used = reserving.await.context("reserving of a budget")?;
            if used.is_none() {
                for budget in &self.budgets[..at] {
                    let quantity = sum.of(budget.unit);
                    retry_lock_conflicts(|| give_back(db, budget, quantity))
                        .await
                        .context("giving back to a budget")?;
                }
                return Ok(false);
            }
            self.budgets[at].used = used;
        }
        Ok(true)
    }

    /// Returns which budget keeps the message at `count` from being sent, if one does.
    fn room(&self, each: &[Quantities], count: usize) -> Room {
        let Some(next) = each.get(count) else {
            return Room::All;
        };
        let full = |budget: &&Budget| next.of(budget.unit) > budget.left();
        let full = self.budgets.iter().find(full);
        Room::First(count, full.cloned().map(Box::new))
    }

    /// Gives back what was not used. Returns the budgets with their use afterwards.
    pub async fn settle(&mut self, db: &Db) -> sqlx::Result<&[Budget]> {
        let unused = std::mem::take(&mut self.reserved).minus(self.used);
        for budget in &mut self.budgets {
            let quantity = unused.of(budget.unit);
            if quantity > 0 {
                let given = retry_lock_conflicts(|| give_back(db, budget, quantity)).await?;
                budget.used = Some(given);
            }
        }
        Ok(&self.budgets)
    }
}

async fn read_budgets(db: &Db, claim: &Claim, now: DateTime<Utc>) -> anyhow::Result<Vec<Budget>> {
    let mut connection = db.acquire().await?;
    let creator = creator_of(&mut connection, claim.batch.schedule_id)
        .await
        .context("reading the creator of a schedule")?;
    let scopes = scopes_of(&mut connection, creator.as_deref())
        .await
        .context("reading the scopes of budgets")?;
    budgets_of(&mut connection, &scopes, now)
        .await
        .context("reading budgets")
}

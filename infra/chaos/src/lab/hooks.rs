//! What happens where a handler reaches a fault point: nothing, or its environment dies, or is frozen, or something else happens at the
//! same moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::{db::Clock, fault::Point, queue::BatchMessage};
use tokio::sync::Notify;

use super::{
    dice::Dice,
    invocation::{CURRENT, Invocation},
    plan::{Act, Does, Kills, Trap},
};

/// See the module.
pub struct Hooks {
    clock: Clock,
    dice: Dice,
    kills: Kills,
    traps: Vec<Trap>,
    state: Mutex<State>,
    /// Something was put down for the run to do.
    pub changed: Notify,
}

#[derive(Default)]
struct State {
    /// How often each trap has snapped.
    snapped: HashMap<usize, u32>,
    /// Kills and freezes of each batch, since its last release.
    in_a_row: HashMap<u32, u32>,
    kills: u32,
    first: Option<DateTime<Utc>>,
    frozen: Vec<Frozen>,
    acts: Vec<Act>,
}

struct Frozen {
    invocation: Arc<Invocation>,
    batch_no: u32,
    until: Point,
    longer: TimeDelta,
    /// When it goes on: late, unless another owner comes.
    thaw_at: DateTime<Utc>,
}

/// Without another owner a frozen environment wakes up after so long.
const FROZEN_AT_MOST: TimeDelta = TimeDelta::hours(2);

impl Hooks {
    /// What the plan wants.
    pub fn new(clock: Clock, dice: Dice, kills: Kills, traps: Vec<Trap>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            dice,
            kills,
            traps,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the handlers stop here with that schedule.
    #[cfg(feature = "fault-points")]
    pub fn install(self: &Arc<Self>, schedule_id: uuid::Uuid) {
        let hooks = Arc::clone(self);
        let hook = move |point, batch| -> futures_util::future::BoxFuture<'static, ()> {
            let hooks = Arc::clone(&hooks);
            Box::pin(async move { hooks.reached(point, batch).await })
        };
        shared::platform::fault::install(schedule_id, Arc::new(hook));
    }

    #[cfg_attr(
        not(feature = "fault-points"),
        expect(dead_code, reason = "nothing comes here without them")
    )]
    async fn reached(&self, point: Point, batch: BatchMessage) {
        let Ok(invocation) = CURRENT.try_with(Arc::clone) else {
            return;
        };
        match self.decide(point, batch.batch_no, &invocation) {
            None => {}
            Some(Does::Kill) => {
                invocation.kill();
                std::future::pending::<()>().await;
            }
            Some(Does::Freeze(..)) => {
                invocation.freeze();
                // Not polled again until it is thawed.
                tokio::task::yield_now().await;
            }
            // Gives it a start.
            Some(Does::Act(_)) => tokio::time::sleep(self.dice.millis(0..=4)).await,
        }
    }

    fn decide(&self, point: Point, batch_no: u32, invocation: &Arc<Invocation>) -> Option<Does> {
        let now = self.clock.now();
        let mut state = self.state();
        state.note_other_owner(point, batch_no, invocation, now);
        if point == Point::Released {
            state.in_a_row.remove(&batch_no);
        }
        let mut does = self.snap(&mut state, point, batch_no);
        if does.is_none() && self.dice.chance(self.kills.at_points) {
            does = Some(Does::Kill);
        }
        match &does {
            Some(Does::Kill) if !state.may_kill(batch_no, &self.kills) => return None,
            Some(Does::Kill) => state.note_kill(batch_no),
            // Two at a time, and their successor, would be three claims without a release.
            Some(Does::Freeze(..)) if state.in_a_row(batch_no) > 0 => return None,
            Some(Does::Freeze(until, longer_s)) => {
                *state.in_a_row.entry(batch_no).or_default() += 1;
                let (until, longer) = (*until, TimeDelta::seconds((*longer_s).into()));
                let invocation = Arc::clone(invocation);
                state.frozen.push(Frozen {
                    invocation,
                    batch_no,
                    until,
                    longer,
                    thaw_at: now + FROZEN_AT_MOST,
                });
            }
            Some(Does::Act(act)) => state.acts.push(act.clone()),
            None => return None,
        }
        state.first.get_or_insert(now);
        self.changed.notify_one();
        does
    }

    /// The first trap that snaps.
    fn snap(&self, state: &mut State, point: Point, batch_no: u32) -> Option<Does> {
        for (place, trap) in self.traps.iter().enumerate() {
            let fits =
                trap.points.contains(&point) && trap.batch.is_none_or(|batch| batch == batch_no);
            let snapped = state.snapped.entry(place).or_default();
            if fits && *snapped < trap.most && self.dice.chance(trap.share) {
                *snapped += 1;
                return Some(trap.does.clone());
            }
        }
        None
    }

    /// Whether an environment with that batch is to die at some moment: whether it may.
    pub fn dies(&self, batch_no: u32) -> bool {
        self.dice.chance(self.kills.at_any_moment) && self.state().may_kill(batch_no, &self.kills)
    }

    /// It did.
    pub fn note_death(&self, batch_no: u32) {
        let now = self.clock.now();
        let mut state = self.state();
        state.note_kill(batch_no);
        state.first.get_or_insert(now);
    }

    /// How many environments died so far.
    pub fn kills(&self) -> u32 {
        self.state().kills
    }

    /// When the first thing happened.
    pub fn first(&self) -> Option<DateTime<Utc>> {
        self.state().first
    }

    /// What is to happen now.
    pub fn take_acts(&self) -> Vec<Act> {
        std::mem::take(&mut self.state().acts)
    }

    /// Has those go on whose time has come: an environment's real time is over when its lease is, so that none wakes up before.
    pub fn thaw(&self, now: DateTime<Utc>) {
        self.state().frozen.retain(|frozen| {
            let stays = frozen.thaw_at > now || frozen.invocation.deadline > Instant::now();
            if !stays {
                frozen.invocation.thaw();
            }
            stays
        });
    }

    /// How many are frozen.
    pub fn frozen(&self) -> usize {
        self.state().frozen.len()
    }

    /// When the next one goes on.
    pub fn next_thaw(&self) -> Option<DateTime<Utc>> {
        self.state()
            .frozen
            .iter()
            .map(|frozen| frozen.thaw_at)
            .min()
    }

    /// Until when the real time of a frozen environment lasts: until then the run's clock may not pass the end of its lease.
    pub fn frozen_deadline(&self) -> Option<Instant> {
        self.state()
            .frozen
            .iter()
            .map(|frozen| frozen.invocation.deadline)
            .max()
    }
}

impl State {
    fn note_other_owner(
        &mut self,
        point: Point,
        batch_no: u32,
        invocation: &Arc<Invocation>,
        now: DateTime<Utc>,
    ) {
        let waits = |frozen: &&mut Frozen| {
            frozen.batch_no == batch_no
                && frozen.until == point
                && frozen.invocation.id != invocation.id
        };
        for frozen in self.frozen.iter_mut().filter(waits) {
            frozen.thaw_at = frozen.thaw_at.min(now + frozen.longer);
        }
    }

    fn in_a_row(&self, batch_no: u32) -> u32 {
        self.in_a_row.get(&batch_no).copied().unwrap_or_default()
    }

    fn may_kill(&self, batch_no: u32, kills: &Kills) -> bool {
        self.in_a_row(batch_no) < kills.in_a_row
    }

    fn note_kill(&mut self, batch_no: u32) {
        *self.in_a_row.entry(batch_no).or_default() += 1;
        self.kills += 1;
    }
}

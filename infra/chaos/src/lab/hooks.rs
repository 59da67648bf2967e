//! Decides what happens when a handler reaches a fault point: nothing, or its environment is killed
//! or frozen, or an intervention happens at the same moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::{db::Clock, fault::Point, queue::BatchMessage};
use tokio::sync::Notify;

use super::{
    intervention::Intervention,
    invocation::{CURRENT, Invocation},
    plan::{Effect, Kills, Trap},
    rng::SharedRng,
};

/// The fault points of a run.
pub struct Hooks {
    clock: Clock,
    rng: SharedRng,
    kills: Kills,
    traps: Vec<Trap>,
    state: Mutex<State>,
    /// Notified when an effect occurred, so that the run executes interventions.
    pub changed: Notify,
}

#[derive(Default)]
struct State {
    /// How often each trap was triggered.
    triggered: HashMap<usize, u32>,
    /// Kills and freezes of each batch since its last release.
    in_a_row: HashMap<u32, u32>,
    kills: u32,
    first_fault_at: Option<DateTime<Utc>>,
    frozen: Vec<Frozen>,
    interventions: Vec<Intervention>,
}

struct Frozen {
    invocation: Arc<Invocation>,
    batch_no: u32,
    until: Point,
    extra: TimeDelta,
    /// When it continues: late, unless another owner reaches the point before.
    thaw_at: DateTime<Utc>,
}

/// How long an environment stays frozen if no other owner reaches the point.
const FROZEN_AT_MOST: TimeDelta = TimeDelta::hours(2);

impl Hooks {
    /// Starts with the kills and traps of a plan.
    pub fn new(clock: Clock, rng: SharedRng, kills: Kills, traps: Vec<Trap>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            rng,
            kills,
            traps,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Installs the hooks at the fault points of that schedule.
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
        expect(dead_code, reason = "only fault points call it")
    )]
    async fn reached(&self, point: Point, batch: BatchMessage) {
        let Ok(invocation) = CURRENT.try_with(Arc::clone) else {
            return;
        };
        match self.decide(point, batch.batch_no, &invocation) {
            None => {}
            Some(Effect::Kill) => {
                invocation.kill();
                std::future::pending::<()>().await;
            }
            Some(Effect::Freeze { .. }) => {
                invocation.freeze();
                // The invocation is not polled again until it is thawed.
                tokio::task::yield_now().await;
            }
            // The intervention begins while this handler waits. Between the statements of a flush it
            // mostly ends, too.
            Some(Effect::Intervene(_)) => {
                let wait_ms = if point == Point::MarkedInPart {
                    0..=300
                } else {
                    0..=4
                };
                tokio::time::sleep(self.rng.millis(wait_ms)).await;
            }
        }
    }

    fn decide(&self, point: Point, batch_no: u32, invocation: &Arc<Invocation>) -> Option<Effect> {
        let now = self.clock.now();
        let mut state = self.state();
        state.thaw_for_other_owner(point, batch_no, invocation, now);
        if point == Point::Released {
            state.in_a_row.remove(&batch_no);
        }
        let mut effect = self.triggered_effect(&mut state, point, batch_no);
        if effect.is_none() && self.rng.chance(self.kills.at_points) {
            effect = Some(Effect::Kill);
        }
        match effect? {
            Effect::Kill if !state.may_kill(batch_no, &self.kills) => return None,
            Effect::Kill => state.record_kill(batch_no),
            // Two frozen environments and their successor would be three claims without a release.
            Effect::Freeze { .. } if state.in_a_row(batch_no) > 0 => return None,
            Effect::Freeze { until, extra_s } => {
                *state.in_a_row.entry(batch_no).or_default() += 1;
                state.frozen.push(Frozen {
                    invocation: Arc::clone(invocation),
                    batch_no,
                    until,
                    extra: TimeDelta::seconds(extra_s.into()),
                    thaw_at: now + FROZEN_AT_MOST,
                });
            }
            Effect::Intervene(intervention) => state.interventions.push(intervention),
        }
        state.first_fault_at.get_or_insert(now);
        self.changed.notify_one();
        effect
    }

    /// Returns the effect of the first trap that is triggered.
    fn triggered_effect(&self, state: &mut State, point: Point, batch_no: u32) -> Option<Effect> {
        for (place, trap) in self.traps.iter().enumerate() {
            let fits =
                trap.points.contains(&point) && trap.batch.is_none_or(|batch| batch == batch_no);
            let triggered = state.triggered.entry(place).or_default();
            if fits && *triggered < trap.most && self.rng.chance(trap.share) {
                *triggered += 1;
                return Some(trap.effect);
            }
        }
        None
    }

    /// Draws whether an environment with that batch is killed at a random moment.
    pub fn draw_kill(&self, batch_no: u32) -> bool {
        self.rng.chance(self.kills.at_any_moment) && self.state().may_kill(batch_no, &self.kills)
    }

    /// Records that an environment with that batch was killed at a random moment.
    pub fn record_kill(&self, batch_no: u32) {
        let now = self.clock.now();
        let mut state = self.state();
        state.record_kill(batch_no);
        state.first_fault_at.get_or_insert(now);
    }

    /// Returns how many environments were killed so far.
    pub fn kills(&self) -> u32 {
        self.state().kills
    }

    /// Returns when the first fault happened.
    pub fn first_fault_at(&self) -> Option<DateTime<Utc>> {
        self.state().first_fault_at
    }

    /// Removes and returns the interventions that begin now.
    pub fn take_interventions(&self) -> Vec<Intervention> {
        std::mem::take(&mut self.state().interventions)
    }

    /// Continues the environments whose time has come, but none before its real deadline: its lease
    /// has expired by then.
    pub fn thaw(&self, now: DateTime<Utc>) {
        self.state().frozen.retain(|frozen| {
            let stays = frozen.thaw_at > now || frozen.invocation.deadline > Instant::now();
            if !stays {
                frozen.invocation.thaw();
            }
            stays
        });
    }

    /// Returns how many environments are frozen.
    pub fn frozen(&self) -> usize {
        self.state().frozen.len()
    }

    /// Returns when the next frozen environment continues.
    pub fn next_thaw(&self) -> Option<DateTime<Utc>> {
        self.state()
            .frozen
            .iter()
            .map(|frozen| frozen.thaw_at)
            .min()
    }

    /// Returns the latest real deadline of the frozen environments. Until then the run's clock must
    /// not pass the end of their leases.
    pub fn frozen_deadline(&self) -> Option<Instant> {
        self.state()
            .frozen
            .iter()
            .map(|frozen| frozen.invocation.deadline)
            .max()
    }
}

impl State {
    /// Schedules the thaw of environments that wait until another owner of the batch is here.
    fn thaw_for_other_owner(
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
            frozen.thaw_at = frozen.thaw_at.min(now + frozen.extra);
        }
    }

    fn in_a_row(&self, batch_no: u32) -> u32 {
        self.in_a_row.get(&batch_no).copied().unwrap_or_default()
    }

    fn may_kill(&self, batch_no: u32, kills: &Kills) -> bool {
        self.in_a_row(batch_no) < kills.in_a_row
    }

    fn record_kill(&mut self, batch_no: u32) {
        *self.in_a_row.entry(batch_no).or_default() += 1;
        self.kills += 1;
    }
}

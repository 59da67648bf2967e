//! The server side of the fault points. Functions that were built with fault points send a request
//! here at each point. For some schedules the answer kills, holds or panics the process.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use shared::platform::fault::Point;
use tokio::{net::TcpListener, process::Command};
use uuid::Uuid;

/// What happens to a process that reaches a point.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// SIGKILL.
    Kill {
        /// The time from the point to the signal. 0: exactly at the point.
        after: Duration,
    },
    /// The process is held at the point for that time. Lambda ends it at its time-out.
    Hold(Duration),
    /// The process panics.
    Panic,
}

/// SIGKILL exactly at the point.
pub const KILL: Action = Action::Kill {
    after: Duration::ZERO,
};

/// What happens the next times that a schedule reaches a point.
#[derive(Clone, Copy)]
pub struct Order {
    /// The point.
    pub point: Point,
    /// What happens there.
    pub action: Action,
    /// How many times.
    pub times: u32,
}

impl Order {
    /// An action for the next time that a schedule reaches the point.
    pub const fn once(point: Point, action: Action) -> Self {
        Self {
            point,
            action,
            times: 1,
        }
    }
}

/// The orders of each schedule.
#[derive(Clone, Default)]
pub struct FaultPoints(Arc<Mutex<HashMap<Uuid, Vec<Order>>>>);

impl FaultPoints {
    /// Starts to serve the functions' requests at that port.
    pub async fn serve(port: u16) -> anyhow::Result<Self> {
        let points = Self::default();
        let router = Router::new()
            .route("/{point}/{schedule}/{batch}/{pid}", get(reached))
            .with_state(points.clone());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .context("the fault points' port")?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(points)
    }

    fn orders(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<Order>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an order.
    pub fn order(&self, schedule_id: Uuid, order: Order) {
        self.orders().entry(schedule_id).or_default().push(order);
    }

    /// Removes a schedule's orders. Returns how many actions were never executed because the
    /// schedule did not reach their points. A fault that did not happen proves nothing.
    pub fn remove(&self, schedule_id: Uuid) -> u32 {
        self.orders()
            .remove(&schedule_id)
            .unwrap_or_default()
            .iter()
            .map(|order| order.times)
            .sum()
    }

    /// Returns the action for a schedule at a point and counts it as executed.
    fn take(&self, point: &str, schedule_id: Uuid) -> Option<Action> {
        let mut orders = self.orders();
        let order = orders
            .get_mut(&schedule_id)?
            .iter_mut()
            .find(|order| order.times > 0 && name(order.point) == point)?;
        order.times -= 1;
        Some(order.action)
    }
}

/// Returns a point's name in the functions' requests.
fn name(point: Point) -> &'static str {
    match point {
        Point::Cut => "Cut",
        Point::Enqueued => "Enqueued",
        Point::Claimed => "Claimed",
        Point::Marked => "Marked",
        Point::MarkedInPart => "MarkedInPart",
        Point::InFlight => "InFlight",
        Point::Answered => "Answered",
        Point::Recorded => "Recorded",
        Point::Asked => "Asked",
        Point::Released => "Released",
        Point::Decided => "Decided",
        Point::Copied => "Copied",
        Point::Erased => "Erased",
    }
}

async fn reached(
    State(points): State<FaultPoints>,
    Path((point, schedules, _, pid)): Path<(String, String, u32, u32)>,
) -> &'static str {
    // Several schedules reach a point together if one call enqueues batches of all of them. What
    // happens to the process happens to each of them.
    let ids = schedules.split(',').filter_map(|id| id.parse().ok());
    let actions: Vec<_> = ids.filter_map(|id| points.take(&point, id)).collect();
    match actions.first().copied() {
        None => "",
        Some(Action::Panic) => "panic",
        Some(Action::Hold(time)) => {
            tokio::time::sleep(time).await;
            ""
        }
        Some(Action::Kill { after }) if after.is_zero() => {
            kill(pid).await;
            // The process that would receive it has ended.
            ""
        }
        Some(Action::Kill { after }) => {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                kill(pid).await;
            });
            ""
        }
    }
}

/// Sends SIGKILL to a function's process. The process has just sent its id, so that the id is not
/// reused.
async fn kill(pid: u32) {
    let killed = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .await;
    if !killed.is_ok_and(|status| status.success()) {
        eprintln!("process {pid} could not be killed");
    }
}

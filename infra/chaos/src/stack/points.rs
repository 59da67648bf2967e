//! The other end of the fault points: functions built with them ask here what becomes of them, and for some schedules the answer is a
//! death.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
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

/// What befalls a process that reaches a point.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// SIGKILL, so long after it has reached the point.
    Kill {
        /// 0: exactly there.
        after: Duration,
    },
    /// It is held there for so long: beyond its time-out Lambda ends it.
    Hold(Duration),
    /// It panics.
    Panic,
}

/// Exactly there.
pub const KILL: Action = Action::Kill {
    after: Duration::ZERO,
};

/// The next so many times that a schedule reaches a point.
#[derive(Clone, Copy)]
pub struct Order {
    /// Where.
    pub point: Point,
    /// What.
    pub action: Action,
    /// How often.
    pub times: u32,
}

/// The orders, by schedule.
#[derive(Clone, Default)]
pub struct Points(Arc<Mutex<HashMap<Uuid, Vec<Order>>>>);

impl Points {
    /// Answers at that port from now on.
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

    /// Adds an order.
    pub fn order(&self, schedule_id: Uuid, order: Order) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(schedule_id)
            .or_default()
            .push(order);
    }

    /// Orders that were never carried out: the schedule did not come that way. A fault that did not happen proves nothing.
    pub fn left(&self, schedule_id: Uuid) -> u32 {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders
            .remove(&schedule_id)
            .unwrap_or_default()
            .iter()
            .map(|order| order.times)
            .sum()
    }

    /// Takes back what has not happened.
    pub fn forget(&self, schedule_id: Uuid) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&schedule_id);
    }

    fn take(&self, point: &str, schedule_id: Uuid) -> Option<Action> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = orders
            .get_mut(&schedule_id)?
            .iter_mut()
            .find(|order| order.times > 0 && name(order.point) == point)?;
        order.times -= 1;
        Some(order.action)
    }
}

/// As the functions say it.
fn name(point: Point) -> &'static str {
    match point {
        Point::Cut => "Cut",
        Point::Enqueued => "Enqueued",
        Point::Claimed => "Claimed",
        Point::Marked => "Marked",
        Point::InFlight => "InFlight",
        Point::Answered => "Answered",
        Point::Recorded => "Recorded",
        Point::Asked => "Asked",
        Point::Released => "Released",
    }
}

async fn reached(
    State(points): State<Points>,
    Path((point, schedule, _, pid)): Path<(String, Uuid, u32, u32)>,
) -> &'static str {
    match points.take(&point, schedule) {
        None => "",
        Some(Action::Panic) => "panic",
        Some(Action::Hold(time)) => {
            tokio::time::sleep(time).await;
            ""
        }
        Some(Action::Kill { after }) if after.is_zero() => {
            kill(pid).await;
            // To a process that is no more.
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

/// SIGKILL to a function's process: one that has just asked us, so the id is its own.
async fn kill(pid: u32) {
    let done = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .await;
    if !done.is_ok_and(|status| status.success()) {
        eprintln!("process {pid} could not be killed");
    }
}

//! Passes that send a backlog to a carrier for 40 s, on virtual time: each has two requests in
//! flight, asks for a slot before each request, and sends again what was refused.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{
    bucket::{Bucket, Micros, Units, horizon},
    carriers::Carrier,
};

/// Numbers that fit into a request; each message has one part.
const MAX_NUMBERS: u32 = 100;
const IN_FLIGHT: usize = 2;
const DURATION: Micros = 40_000_000;
const START: Micros = 1_000_000_000;
const RESPONSE: f64 = 100_000.0;

/// What the carrier has answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub accepted_parts: u32,
    pub accepted: u32,
    pub refused: u32,
}

impl Outcome {
    /// The share of requests that were refused.
    pub fn refused_share(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.accepted + self.refused)
    }

    /// The share of a limit in parts per second that was used.
    pub fn used_share(&self, parts_per_second: f64) -> f64 {
        f64::from(self.accepted_parts) / (parts_per_second * DURATION as f64 / 1e6)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    pass: usize,
    start: Micros,
    parts: u32,
    accepted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ask { pass: usize },
    Arrives(Request),
    Answered(Request),
}

#[derive(Clone, Copy, Default)]
struct Pass {
    in_flight: usize,
    is_asking: bool,
    /// The parts of its only request; `None`: it has many full ones.
    only: Option<u32>,
}

struct Simulation {
    bucket: Bucket,
    carrier: Carrier,
    passes: Vec<Pass>,
    events: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    count: u64,
    random: fastrand::Rng,
    outcome: Outcome,
}

/// The passes of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct Passes {
    /// Passes with many full requests.
    pub large: usize,
    /// Passes with one request of ten parts, at any time.
    pub small: usize,
}

/// Sends for 40 s.
pub fn send(bucket: Bucket, carrier: Carrier, passes: Passes, seed: u64) -> Outcome {
    let small = Pass {
        only: Some(10),
        ..Pass::default()
    };
    let mut simulation = Simulation {
        bucket,
        carrier,
        passes: [
            vec![Pass::default(); passes.large],
            vec![small; passes.small],
        ]
        .concat(),
        events: BinaryHeap::new(),
        count: 0,
        random: fastrand::Rng::with_seed(seed),
        outcome: Outcome::default(),
    };
    for pass in 0..simulation.passes.len() {
        let latest = if pass < passes.large {
            50_000
        } else {
            DURATION
        };
        let at = START + simulation.random.i64(0..latest);
        simulation.ask_at(pass, at);
    }
    simulation.run();
    simulation.outcome
}

impl Simulation {
    fn run(&mut self) {
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            if now > START + DURATION {
                return;
            }
            match event {
                Event::Ask { pass } => self.ask(pass, now),
                Event::Arrives(request) => self.arrives(request, now),
                Event::Answered(request) => self.answered(request, now),
            }
        }
    }

    fn push(&mut self, at: Micros, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, event)));
    }

    fn ask_at(&mut self, pass: usize, at: Micros) {
        if !self.passes[pass].is_asking {
            self.passes[pass].is_asking = true;
            self.push(at, Event::Ask { pass });
        }
    }

    fn ask(&mut self, pass: usize, now: Micros) {
        self.passes[pass].is_asking = false;
        if self.passes[pass].in_flight >= IN_FLIGHT {
            return;
        }
        let full = self.bucket.limit.request_units(MAX_NUMBERS, 1);
        let ask = Units {
            most: self.passes[pass].only.unwrap_or(full),
            least: 1,
            slot: full.max(self.passes[pass].only.unwrap_or(0)),
        };
        let granted = if self.bucket.is_known() {
            self.bucket.grant(now, ask)
        } else {
            Ok((now, ask.most))
        };
        match granted {
            Ok((start, parts)) => {
                self.passes[pass].in_flight += 1;
                let request = Request {
                    pass,
                    start,
                    parts,
                    accepted: false,
                };
                let at = start + self.jitter();
                self.push(at, Event::Arrives(request));
                if self.passes[pass].only.is_none() {
                    self.ask_at(pass, now + 1500);
                }
            }
            Err(free_at) => {
                let spread = self.random.f64() * horizon() as f64 / 2.0;
                let at = free_at - horizon() + spread as Micros;
                self.ask_at(pass, at.max(now + 5000));
            }
        }
    }

    fn arrives(&mut self, mut request: Request, now: Micros) {
        request.accepted = self.carrier.accepts(now, request.parts);
        let response = if request.accepted {
            self.outcome.accepted += 1;
            self.outcome.accepted_parts += request.parts;
            RESPONSE * (0.8 + 0.4 * self.random.f64())
        } else {
            self.outcome.refused += 1;
            RESPONSE / 4.0
        };
        self.push(now + response as Micros, Event::Answered(request));
    }

    fn answered(&mut self, request: Request, now: Micros) {
        self.passes[request.pass].in_flight -= 1;
        if !request.accepted {
            self.bucket.refuse(request.start, now);
        }
        if self.passes[request.pass].only.is_none() || !request.accepted {
            self.ask_at(request.pass, now + 2000);
        }
    }

    /// The time from the start of a slot to the arrival of its request: 3 ms on average, and every
    /// two-hundredth time 30 ms more.
    fn jitter(&mut self) -> Micros {
        let usual = 1000.0 - 2000.0 * (1.0 - self.random.f64()).ln();
        let unusual = if self.random.f64() < 0.005 {
            30_000.0
        } else {
            0.0
        };
        (usual + unusual) as Micros
    }
}

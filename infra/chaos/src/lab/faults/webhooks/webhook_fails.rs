//! A receiver that fails delays and loses no message, and its webhook ends disabled.

use fastrand::Rng;

use crate::lab::{
    fault::Fault,
    plan::{Condition, Plan, Scheduled},
};

pub const FAULT: Fault = Fault {
    name: "webhook-fails",
    description: "The receiver of the events answers with 500 for two hours and then that it is \
                  gone, so that its webhook is suspended again and again, and then disabled.",
    plan,
};

fn plan(rng: &mut Rng) -> Plan {
    let gone_s = rng.i64(7_200..8_000);
    Plan {
        // Enough batches, each of which has an event, that one is due whenever the webhook is not
        // suspended.
        recipients: 80,
        batch_size: 10,
        rate: None,
        webhook_events: &["schedule.finished", "messages.final"],
        script: vec![
            Scheduled::interval(-30, gone_s, Condition::WebhookAnswers(500)),
            Scheduled::interval(gone_s, gone_s + 86_400, Condition::WebhookAnswers(410)),
        ],
        ..Plan::calm(rng)
    }
}

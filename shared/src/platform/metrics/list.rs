//! The list of all metrics: names, units, functions and meanings. docs/metrics.md and the dashboard
//! are made from it; code can only emit what is in it.

/// What is known about a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name in CloudWatch.
    pub name: &'static str,
    /// Its unit in CloudWatch.
    pub unit: Unit,
    /// The functions that emit it, separated by commas.
    pub functions: &'static str,
    /// What its value means.
    pub meaning: &'static str,
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of CloudWatch")]
pub enum Unit {
    Count,
    CountPerSecond,
    Microseconds,
    Milliseconds,
    Percent,
    Seconds,
}

impl Unit {
    /// Returns the name of the unit in CloudWatch.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::CountPerSecond => "Count/Second",
            Self::Microseconds => "Microseconds",
            Self::Milliseconds => "Milliseconds",
            Self::Percent => "Percent",
            Self::Seconds => "Seconds",
        }
    }
}

/// Declares an enum of metrics, `ALL` of it, and what is known about each.
macro_rules! metric_list {
    ($(#[$doc:meta])* $kind:ident { $($name:ident: $unit:ident, $functions:literal, $meaning:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::doc_markdown, reason = "the meanings are texts of docs/metrics.md too")]
        pub enum $kind {
            $(#[doc = $meaning] $name,)+
        }

        impl $kind {
            /// All of them, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Returns what is known about the metric.
            pub const fn listed(self) -> Listed {
                match self {
                    $(Self::$name => Listed {
                        name: stringify!($name),
                        unit: Unit::$unit,
                        functions: $functions,
                        meaning: $meaning,
                    },)+
                }
            }
        }
    };
}

metric_list! {
    /// A metric that an invocation adds up. An invocation without any emits nothing: no value means
    /// zero.
    Counter {
        Accepted: Count, "send", "Messages that the carrier accepted";
        Delivered: Count, "recheck, api", "Messages that became DELIVRD";
        Undelivered: Count, "send, recheck, api", "Messages that became UNDELIV, EXPIRED, DELETED, REJECTD or UNKNOWN; some are sent again";
        Uncertain: Count, "send, recheck", "Messages that became UNCERTAIN: a lost answer, or an owner that crashed";
        Resent: Count, "send", "Messages that were sent again by their policy or by an operator";
        Rechecks: Count, "recheck", "Status queries to the carrier";
        Receipts: Count, "api", "Delivery receipts from the carrier";
        CarrierBusy: Count, "send, recheck", "Requests that the carrier answered with 429";
        CarrierRefused: Count, "send", "Requests that the carrier refused, perhaps because of one number";
        CarrierAccountRefused: Count, "send", "Requests that the carrier refused because of the account";
        CarrierLost: Count, "send", "Requests whose answer was lost: their messages may have been accepted";
        CarrierNotAccepted: Count, "send", "Requests that failed before the carrier accepted anything, such as without a connection or with a 503";
        StatusQueriesFailed: Count, "recheck", "Status queries without a usable answer";
        CapacityUsed: Count, "send", "Message parts that the carrier accepted; per second, what is used of CapacityLimit";
        SchedulesPaused: Count, "send", "Schedules that were paused because the carrier refused the account or every request";
        BudgetWarnings: Count, "send", "Budgets of which 80 percent were used first in their period";
        BudgetsReached: Count, "send", "Schedules that were paused because a budget is used up";
        BatchesMissed: Count, "send", "Batches that were found later than max_lateness_s, and are held";
        SchedulesMissed: Count, "dispatch", "Schedules that were found later than max_lateness_s: nothing of them was sent";
        BatchesParked: Count, "dispatch", "Parked batches that the sweep has seen; it looks at each one every half an hour";
        SweepsFinished: Count, "dispatch", "Sweeps that ended without an error: one per minute";
        SweepRepairs: Count, "dispatch", "Batches that the sweep enqueued because their message was lost or their owner had crashed, and turns that it opened again";
        DeliveryShareDrops: Count, "recheck", "Passes over a batch whose DELIVRD share is clearly lower than that of the batches before it in its schedule";
        EventsDelivered: Count, "notify", "Events that a webhook accepted";
        EventsFailed: Count, "notify", "Posts to webhooks that failed; most are retried";
        WebhooksSuspended: Count, "notify", "Suspensions of a webhook whose posts fail";
        WebhooksDisabled: Count, "notify", "Webhooks that were disabled";
        DatabaseTime: Microseconds, "api, dispatch, send, recheck, notify", "Time for which an invocation used its database connection";
        ColdStarts: Count, "api, dispatch, send, recheck, notify", "Environments that handled their first invocation";
    }
}

metric_list! {
    /// A metric of which each value is kept, at most a hundred per invocation.
    Measure {
        CarrierLatency: Milliseconds, "send", "Time until the carrier answered a submission, or until it was given up";
        StatusLatency: Milliseconds, "recheck", "Time until the carrier answered a status query, or until it was given up";
        CarrierFailures: Percent, "send, recheck", "100 for a request to the carrier that was lost or failed, 0 for one that was answered; the average is the share of failures. A 429 or a refusal is an answer";
        FirstSendLateness: Seconds, "send", "Time from the planned time of a schedule to its first send";
        LastSendLateness: Seconds, "send", "Time from the planned time of a batch to the first send of its last message";
        TimeToDelivered: Seconds, "recheck, api", "Time from a send until a recheck or a receipt found the message DELIVRD";
        OldestDueBatch: Seconds, "dispatch", "Age of the oldest batch that is due, admitted, and not claimed by a worker";
        CapacityWanted: Count, "dispatch", "Message parts that are due and not sent";
        CapacityLimit: CountPerSecond, "dispatch", "The carrier's limit in message parts per second, configured or learned; none if there is no limit";
        SchedulesStuck: Count, "dispatch", "Schedules that are due and make no progress: never cut, or with a batch whose messages are lost again and again";
        CanariesFailed: Count, "dispatch", "Schedules that were paused in the last ten minutes because too few messages of their canary were delivered";
        VelocityExceeded: Count, "dispatch", "Callers whose schedules of the last hour have more message parts than VelocityPartsPerHour, and than VelocityFactor times their busiest hour of 30 days; none if the rule is off";
        UncertainRecipients: Count, "dispatch", "Recipients that are UNCERTAIN now";
        DatabaseConnections: Percent, "dispatch", "Connections to the database server, as a share of its max_connections";
    }
}

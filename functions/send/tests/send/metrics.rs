//! The metrics of send: what a pass counts and measures.
#![allow(clippy::float_cmp, reason = "the values are exact")]

use std::time::Duration;

use shared::platform::{
    metrics::{Counter, Figures, Measure, collect},
    queue::BatchMessage,
};
use simulator::Settings;
use sqlx::MySqlPool;
use testkit::{Stage, fixture};

use crate::{cut, cut_on, three};

async fn send(stage: &Stage, batch: BatchMessage) -> Figures {
    collect(stage.send(batch)).await.1
}

/// Returns the counters that a pass has raised.
fn counts(figures: &Figures) -> Vec<(Counter, u64)> {
    figures.counts().collect()
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_pass_counts_messages_and_measures_requests_and_lateness(pool: MySqlPool) {
    let schedule = fixture::Schedule {
        parts: 2,
        ..three()
    };
    let (stage, batch) = cut(pool, Settings::default(), schedule).await;
    stage.db.clock.advance(Duration::from_secs(7));
    let figures = send(&stage, batch).await;
    let expected = [(Counter::Accepted, 3), (Counter::CapacityUsed, 6)];
    assert_eq!(counts(&figures), expected);
    assert_eq!(figures.values(Measure::CarrierFailures), [0.0]);
    assert_eq!(figures.values(Measure::CarrierLatency).len(), 1);
    for lateness in [Measure::FirstSendLateness, Measure::LastSendLateness] {
        let values = figures.values(lateness);
        assert!(
            matches!(values[..], [late] if (6.0..20.0).contains(&late)),
            "{values:?}"
        );
    }
    // A second delivery of the message sends nothing.
    assert_eq!(counts(&send(&stage, batch).await), []);
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_way_in_which_a_request_fails_has_its_counter(pool: MySqlPool) {
    let set = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings
    };
    let stage = Stage::new(pool, Settings::default()).await;
    for (settings, counter, failed) in [
        (set(|to| to.busy_429 = 1.0), Counter::CarrierBusy, 0.0),
        (set(|to| to.refuse_4xx = 1.0), Counter::CarrierRefused, 0.0),
        (
            set(|to| to.unauthorized = true),
            Counter::CarrierAccountRefused,
            0.0,
        ),
        (
            set(|to| to.reset_after_accept = 1.0),
            Counter::CarrierLost,
            100.0,
        ),
    ] {
        fixture::reset_carrier(&stage.db).await;
        let batch = cut_on(&stage, three()).await;
        stage.simulator.carrier().set(settings).unwrap();
        let figures = send(&stage, batch).await;
        let counts = counts(&figures);
        assert!(figures.count(counter) > 0, "{counter:?}: {counts:?}");
        let failures = figures.values(Measure::CarrierFailures);
        assert!(
            failures.iter().all(|value| *value == failed),
            "{counter:?}: {failures:?}"
        );
        let lost = figures.count(Counter::Uncertain);
        assert_eq!(
            lost > 0,
            counter == Counter::CarrierLost,
            "{counter:?}: {counts:?}"
        );
        let paused = figures.count(Counter::SchedulesPaused);
        assert_eq!(
            paused,
            u64::from(counter == Counter::CarrierAccountRefused),
            "{counts:?}"
        );
    }
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_refused_number_is_undelivered_and_a_resend_is_counted(pool: MySqlPool) {
    let refusing = Settings {
        refuse_numbers: vec![fixture::phone(2)],
        undeliv_first_attempts: 1,
        delivery_delay_ms_min: 0,
        delivery_delay_ms_max: 0,
        ..Settings::default()
    };
    let (stage, batch) = cut(pool, refusing, three()).await;
    let figures = send(&stage, batch).await;
    assert_eq!(
        figures.count(Counter::Undelivered),
        1,
        "{:?}",
        counts(&figures)
    );
    assert_eq!(figures.count(Counter::Resent), 0);
    stage.db.clock.advance(Duration::from_secs(60));
    stage.recheck(batch).await;
    stage.db.clock.advance(Duration::from_secs(60));
    let figures = send(&stage, batch).await;
    assert_eq!(figures.count(Counter::Resent), 2, "{:?}", counts(&figures));
    assert!(figures.values(Measure::FirstSendLateness).is_empty());
    assert!(figures.values(Measure::LastSendLateness).is_empty());
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_missed_batch_and_a_lost_owner_are_counted(pool: MySqlPool) {
    let schedule = fixture::Schedule {
        max_lateness_s: 60,
        ..three()
    };
    let (stage, batch) = cut(pool, Settings::default(), schedule).await;
    stage.db.clock.advance(Duration::from_secs(120));
    let figures = send(&stage, batch).await;
    assert_eq!(counts(&figures), [(Counter::BatchesMissed, 1)]);
    let batch = cut_on(&stage, three()).await;
    let lost = "UPDATE recipients SET status = 'SENDING', attempt = 1, sent_at = UTC_TIMESTAMP(3) WHERE schedule_id = ? AND seq = 1";
    let lost = sqlx::query(lost).bind(batch.schedule_id);
    lost.execute(&stage.db).await.unwrap();
    let figures = send(&stage, batch).await;
    assert_eq!(
        figures.count(Counter::Uncertain),
        1,
        "{:?}",
        counts(&figures)
    );
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn a_request_without_a_connection_is_not_accepted(pool: MySqlPool) {
    let stage = Stage::with_carrier(pool, Settings::default(), |carrier| {
        "http://127.0.0.1:1/api".clone_into(&mut carrier.url);
    })
    .await;
    let batch = cut_on(&stage, three()).await;
    let figures = send(&stage, batch).await;
    let requests = figures.count(Counter::CarrierNotAccepted);
    assert!(requests > 0, "{:?}", counts(&figures));
    let failures = figures.values(Measure::CarrierFailures);
    assert_eq!(failures, vec![100.0; requests as usize]);
    assert_eq!(figures.count(Counter::Uncertain), 0);
}

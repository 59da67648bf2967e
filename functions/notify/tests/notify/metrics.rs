//! The metrics of notify: posts, suspensions and disabled webhooks.

use shared::platform::metrics::{Counter, Figures, collect};
use sqlx::MySqlPool;
use wiremock::ResponseTemplate;

use crate::scene::Scene;

/// Posts a new event, and returns the figures of that invocation.
async fn post(scene: &Scene) -> Figures {
    let message = scene.event().await;
    collect(scene.deliver(message)).await.1
}

#[sqlx::test(migrator = "shared::platform::db::MIGRATOR")]
async fn each_outcome_of_a_post_is_counted(pool: MySqlPool) {
    let scene = Scene::new(pool, ResponseTemplate::new(200)).await;
    let counts: Vec<_> = post(&scene).await.counts().collect();
    assert_eq!(counts, [(Counter::EventsDelivered, 1)]);
    scene.answer(ResponseTemplate::new(500)).await;
    for (tries, suspended) in [(1, 0), (2, 0), (3, 1)] {
        let figures = post(&scene).await;
        assert_eq!(figures.count(Counter::EventsFailed), 1, "{tries}");
        assert_eq!(
            figures.count(Counter::WebhooksSuspended),
            suspended,
            "{tries}"
        );
    }
    scene.forget_failures().await;
    scene.answer(ResponseTemplate::new(410)).await;
    let figures = post(&scene).await;
    assert_eq!(figures.count(Counter::EventsFailed), 1);
    assert_eq!(figures.count(Counter::WebhooksDisabled), 1);
}

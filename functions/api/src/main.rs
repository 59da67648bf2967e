//! The API function. It writes HTTP requests as rows, and notifies the dispatch function or
//! EventBridge of the time at which they are due.

use std::sync::Arc;

use api::resources::attention::dead_letter_queue::{NamedDeadLetterQueue, SqsDeadLetterQueue};
use api::{
    App, RESEND_CHUNK,
    auth::{Gate, issuer::Issuer},
    config::Config,
    http::{edge::Edge, gateway},
    resources::receipts::secrets::Callbacks,
    routes::router,
};
use shared::{
    events::keys::SharedKeys,
    platform::{
        aws,
        db::{Db, StatementLimit},
        logs,
        metrics::Metrics,
        queue::SqsQueue,
        run_time::RunTime,
        scheduler::EventBridge,
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    logs::init();
    let config = Config::from_env()?;
    let metrics = Metrics::open("api", config.metrics_namespace)?;
    let sdk = aws::sdk_config().await;
    let sqs = aws_sdk_sqs::Client::new(sdk);
    let dead_letter_queue = |(name, url)| NamedDeadLetterQueue {
        name,
        queue: SqsDeadLetterQueue::shared(sqs.clone(), url),
    };
    let dead_letters = config
        .dead_letter_queues
        .into_iter()
        .map(dead_letter_queue)
        .collect();
    let connect = Db::connect(&config.database, StatementLimit::Api);
    let (db, run_time) = tokio::join!(connect, RunTime::open(config.run_time));
    let app = App {
        db: db?,
        dispatch_queue: SqsQueue::shared(sqs.clone(), config.dispatch_queue_url),
        recheck_queue: SqsQueue::shared(sqs.clone(), config.recheck_queue_url),
        notify_queue: SqsQueue::shared(sqs, config.notify_queue_url),
        webhook_keys: SharedKeys::open(config.webhook_keys).await?,
        webhook_targets: config.webhook_targets,
        scheduler: Arc::new(EventBridge {
            client: aws_sdk_scheduler::Client::new(sdk),
            group: config.schedule_group,
            stack: config.stack,
            target_arn: config.dispatch_arn,
            role_arn: config.scheduler_role_arn,
            dead_letter_arn: config.schedule_dlq_arn,
        }),
        dead_letters,
        dispatch_lead: config.dispatch_lead,
        quiet_time: config.quiet_time,
        capacity: config.capacity,
        resend_chunk: RESEND_CHUNK,
        countries: config.countries,
        number_types: config.number_types,
        approval: config.approval,
        gate: Gate {
            issuer: config.issuer.map(Issuer::new).transpose()?,
            cors_origins: config.cors_origins,
            second_factor: config.second_factor,
            local_login: config.local_login,
            ..Gate::open(config.key_source, config.rate).await?
        },
        receipt_format: config.carrier_adapter.receipts,
        callbacks: Callbacks::open(config.callback_secrets).await?,
        edge: Edge::open(config.origin_proof).await?,
        commit: config.commit,
    };
    gateway::run(router(app), &run_time, &metrics).await
}

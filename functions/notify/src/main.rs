//! The binary of the notify function: tracing, configuration, clients, then the runtime.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use notify::{Notifier, Poster, circuit::places_per_webhook, config::Config};
use shared::{
    events::keys::SharedKeys,
    platform::{
        aws,
        config::Env,
        db::{Db, StatementLimit},
        logs,
        metrics::Metrics,
        queue::SqsQueue,
        run_time::RunTime,
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::init();
    let mut env = Env::from_process();
    let config = Config::read(&mut env);
    let config = env.finish(config)?;
    let metrics = &Metrics::open("notify", config.metrics_namespace)?;
    let sqs = aws_sdk_sqs::Client::new(aws::sdk_config().await);
    let connect = Db::connect(&config.database, StatementLimit::Worker);
    let (db, run_time) = tokio::join!(connect, RunTime::open(config.run_time));
    let run_time = &run_time;
    let notifier = &Notifier {
        db: db?,
        queue: SqsQueue::shared(sqs, config.notify_queue_url),
        keys: SharedKeys::open(config.webhook_keys).await?,
        poster: Poster::new(config.webhook_targets)?,
        healthy_places: places_per_webhook(config.notify_concurrency),
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let handled = Box::pin(metrics.during(Box::pin(notifier.handle(event.payload))));
        Ok::<_, Error>(run_time.during(handled).await)
    }))
    .await
}

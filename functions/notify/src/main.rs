//! The binary of the notify function: tracing, configuration, clients, then the runtime.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use notify::{Notifier, Poster, circuit::places_per_webhook};
use shared::{
    events::{
        keys::{SharedKeys, key_source},
        target::AllowedTargets,
    },
    platform::{aws, config::Env, db::Db, queue::SqsQueue},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let mut env = Env::from_process();
    let config = (
        env.database("DATABASE_URL", "DATABASE_SECRET_ARN"),
        env.url("NOTIFY_QUEUE_URL"),
        key_source(&mut env),
        AllowedTargets::from_env(&mut env),
        env.number("NOTIFY_CONCURRENCY", 2..=1000, Some(5)),
    );
    let (database, queue, keys, allowed, concurrency) = env.finish(config)?;
    let notifier = &Notifier {
        db: Db::connect(&database).await?,
        queue: SqsQueue::shared(aws_sdk_sqs::Client::new(aws::sdk_config().await), queue),
        keys: SharedKeys::open(keys).await?,
        poster: Poster::new(allowed)?,
        healthy_places: places_per_webhook(concurrency),
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        Ok::<_, Error>(notifier.handle(event.payload).await)
    }))
    .await
}

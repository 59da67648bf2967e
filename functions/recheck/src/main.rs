//! The binary of the recheck function: tracing, configuration, clients, then the runtime.

use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use recheck::{Rechecker, Settings};
use shared::{
    budget::Budget,
    carrier::{self, Carrier},
    config::Env,
    db::Db,
    queue::SqsQueue,
    release::{Timing, Worker},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let mut env = Env::from_process();
    let config = (
        env.database("DATABASE_URL", "DATABASE_SECRET_ARN"),
        (env.url("SEND_QUEUE_URL"), env.url("RECHECK_QUEUE_URL")),
        carrier::Source::from_env(&mut env),
        Timing::from_env(&mut env),
        Settings::from_env(&mut env),
    );
    let (database, (send_queue, recheck_queue), carrier, timing, settings) = env.finish(config)?;
    let sqs = aws_sdk_sqs::Client::new(&shared::aws::sdk_config().await);
    let carrier = Arc::new(carrier.connect().await?);
    let worker = Worker {
        db: Db::connect(&database).await?,
        send_queue: SqsQueue::shared(sqs.clone(), send_queue),
        recheck_queue: SqsQueue::shared(sqs, recheck_queue),
        timing,
        can_ask: carrier.can_ask_own_id(),
    };
    let rechecker = &Rechecker { worker, carrier, settings };
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let budget = Budget::until(event.context.deadline());
        Ok::<_, Error>(rechecker.handle(event.payload, budget).await)
    }))
    .await
}

//! The binary of the dispatch function: tracing, configuration, clients, then the runtime.

use dispatch::{Dispatcher, Settings, Trigger};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::{
    batch::admission::{Admission, AdmissionSettings},
    platform::{
        aws,
        budget::Budget,
        config::Env,
        db::{Db, describe::describe},
        queue::SqsQueue,
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let mut env = Env::from_process();
    let admission = AdmissionSettings::from_env(&mut env);
    let config = (
        env.database("DATABASE_URL", "DATABASE_SECRET_ARN"),
        env.url("SEND_QUEUE_URL"),
        env.url("RECHECK_QUEUE_URL"),
        env.url("NOTIFY_QUEUE_URL"),
        Settings::from_env(&mut env, &admission),
    );
    let (database, send_queue, recheck_queue, notify_queue, settings) = env.finish(config)?;
    let sqs = aws_sdk_sqs::Client::new(aws::sdk_config().await);
    let db = Db::connect(&database).await?;
    let send_queue = SqsQueue::shared(sqs.clone(), send_queue);
    let dispatcher = &Dispatcher {
        admission: Admission::new(db.clone(), send_queue.clone(), admission),
        db,
        send_queue,
        recheck_queue: SqsQueue::shared(sqs.clone(), recheck_queue),
        notify_queue: SqsQueue::shared(sqs, notify_queue),
        settings,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<Trigger>| async move {
        // The runtime logs the error that it gets.
        let handled = dispatcher
            .handle(event.payload, Budget::until(event.context.deadline()))
            .await;
        handled.map_err(|error| Error::from(describe(&error)))
    }))
    .await
}

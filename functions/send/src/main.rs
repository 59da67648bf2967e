//! The binary of the send function: tracing, configuration, clients, then the runtime.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use send::{Sender, Settings};
use shared::{
    batch::worker::WorkerConfig,
    platform::{budget::Budget, config::Env},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let mut env = Env::from_process();
    let config = (
        WorkerConfig::from_env(&mut env),
        Settings::from_env(&mut env),
    );
    let (worker, settings) = env.finish(config)?;
    let sender = &Sender {
        worker: worker.connect().await?,
        settings,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let budget = Budget::until(event.context.deadline());
        Ok::<_, Error>(sender.handle(event.payload, budget).await)
    }))
    .await
}

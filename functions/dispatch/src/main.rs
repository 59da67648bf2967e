//! The binary of the dispatch function: tracing, configuration, clients, then the runtime.

use dispatch::{Dispatcher, Trigger, config::Config};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::{
    batch::admission::Admission,
    platform::{
        aws,
        budget::Budget,
        config::Env,
        db::{Db, StatementLimit, describe::describe},
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
    let metrics = &Metrics::open("dispatch", config.metrics_namespace)?;
    let sqs = aws_sdk_sqs::Client::new(aws::sdk_config().await);
    let connect = Db::connect(&config.database, StatementLimit::Worker);
    let open = RunTime::open(config.run_time);
    let (db, run_time, personal_data) = tokio::join!(connect, open, config.personal_data.open());
    let (db, run_time, personal_data) = (db?, &run_time, personal_data?);
    let send_queue = SqsQueue::shared(sqs.clone(), config.send_queue_url);
    let dispatcher = &Dispatcher {
        admission: Admission::new(db.clone(), send_queue.clone(), config.admission),
        db,
        send_queue,
        recheck_queue: SqsQueue::shared(sqs.clone(), config.recheck_queue_url),
        notify_queue: SqsQueue::shared(sqs, config.notify_queue_url),
        settings: config.settings,
        personal_data,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<Trigger>| async move {
        let budget = Budget::until(event.context.deadline());
        let handled = Box::pin(metrics.during(dispatcher.handle(event.payload, budget)));
        let handled = run_time.during(handled);
        // The runtime logs the error that it gets.
        handled.await.map_err(|error| Error::from(describe(&error)))
    }))
    .await
}

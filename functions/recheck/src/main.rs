//! The binary of the recheck function: tracing, configuration, clients, then the runtime.

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use recheck::{Rechecker, config::Config};
use shared::platform::{budget::Budget, config::Env, logs, metrics::Metrics, run_time::RunTime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    logs::init();
    let mut env = Env::from_process();
    let config = Config::read(&mut env);
    let config = env.finish(config)?;
    let metrics = &Metrics::open("recheck", config.metrics_namespace)?;
    let run_time = RunTime::open(config.run_time);
    let (worker, run_time) = tokio::join!(config.worker.connect(), run_time);
    let run_time = &run_time;
    let rechecker = &Rechecker {
        worker: worker?,
        settings: config.settings,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let budget = Budget::until(event.context.deadline());
        let handled = Box::pin(metrics.during(rechecker.handle(event.payload, budget)));
        let handled = run_time.during(handled);
        Ok::<_, Error>(handled.await)
    }))
    .await
}

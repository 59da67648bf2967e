//! A function that does nothing: the cold start of each function is measured against this one.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let answer = |event: LambdaEvent<Value>| async move { Ok::<_, Error>(event.payload) };
    lambda_runtime::run(service_fn(answer)).await
}

//! `bench`: runs the selected scenarios and prints their figures. Exit status 0: every scenario
//! ended correctly; 1: one did not. `infra/local/bench` sets its environment.

use std::process::ExitCode;

use bench::{bench::Bench, run::run};

#[tokio::main]
async fn main() -> ExitCode {
    let all = async { run(&Bench::from_environment().await?).await };
    tokio::select! {
        done = all => match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("bench: {error:#}");
                ExitCode::FAILURE
            }
        },
        _ = tokio::signal::ctrl_c() => {
            eprintln!("bench: interrupted");
            ExitCode::from(130)
        }
    }
}

//! `bench`: runs the selected scenarios and prints their figures. Exit status 0: every scenario
//! ended correctly; 1: one did not. `infra/local/bench` sets its environment.

use std::process::ExitCode;

use bench::{bench::Bench, run::run};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    // Returning from here ends all processes, because dropping their owners kills them.
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
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
        _ = terminate.recv() => ExitCode::from(143),
    }
}

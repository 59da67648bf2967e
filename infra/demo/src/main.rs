//! `demo`: posts a schedule to the local stack, watches it to its end and proves that each number
//! received its message once. Exit status 0: the proof holds; 1: it doesn't hold, or an error
//! occurred; 130: interrupted.
//!
//! The environment configures the run: see [`demo::options::Options`]. `STACK_ENV` names the file
//! of the stack's settings.

use std::process::ExitCode;

use demo::{options::Options, run::Run, stack::Stack};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let run = async {
        let (options, stack) = (Options::from_environment()?, Stack::from_environment()?);
        Run::connect(&stack).await?.execute(&options).await
    };
    tokio::select! {
        proven = run => match proven {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("\ndemo: {error:#}");
                ExitCode::FAILURE
            }
        },
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\ndemo: interrupted; a posted schedule continues without the demo");
            ExitCode::from(130)
        }
    }
}

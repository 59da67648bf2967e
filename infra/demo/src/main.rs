//! `demo`: posts a schedule to the local stack, watches it to its end and proves that every number got its message once. Exit
//! status 0: the proof holds; 1: it doesn't, or something failed; 130: interrupted.
//!
//! The environment says what: see [`demo::options::Options`]; `STACK_ENV` names the stack's settings.

use std::process::ExitCode;

use demo::{options::Options, stack::Stack, story::Story};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let run = async {
        let (options, stack) = (Options::from_environment()?, Stack::from_environment()?);
        Story::of_stack(&stack).await?.tell(&options).await
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
            eprintln!("\ndemo: interrupted; what was posted goes on by itself");
            ExitCode::from(130)
        }
    }
}

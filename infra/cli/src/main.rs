//! `sms`, the command-line client of the API: sends lists, watches schedules, fetches reports.
//!
//! `options.rs` has the commands; each has a file of its own. Answers go to standard output, and
//! everything else to standard error. The exit codes are in [`failure`].
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails by panicking"
    )
)]

mod approvals;
mod attention;
mod client;
mod credentials;
mod failure;
mod list;
mod moves;
mod options;
mod output;
mod problem;
mod report;
mod resend;
mod schedules;
mod send;
mod session;
mod summary;
mod time;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    client::Client,
    failure::Failure,
    options::{Command, Options},
    output::Output,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options::parse();
    let output = Output { json: options.json };
    match run(options, output).await {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}

async fn run(options: Options, output: Output) -> Result<u8, Failure> {
    let Options {
        access, command, ..
    } = options;
    match command {
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Options::command(),
                "sms",
                &mut std::io::stdout(),
            );
            Ok(0)
        }
        Command::Login(login) => session::log_in(&access, &login, output).await,
        Command::Logout => session::log_out(&access).await,
        command => {
            let mut client = Client::open(&access)?;
            call(&mut client, command, output).await
        }
    }
}

async fn call(client: &mut Client, command: Command, output: Output) -> Result<u8, Failure> {
    match command {
        Command::Send(order) => send::send(client, &order, output).await,
        Command::Preview { id } => summary::preview(client, id, output).await,
        Command::Start { id } => moves::start(client, id, output).await,
        Command::Watch(watched) => watch::watch(client, &watched, output).await,
        Command::Report(wanted) => report::fetch(client, &wanted, output).await,
        Command::Attention { kind } => attention::show(client, kind.as_deref(), output).await,
        Command::List(filter) => schedules::list(client, &filter, output).await,
        Command::Show { id } => schedules::show(client, id, output).await,
        Command::Pause(moved) => moves::pause(client, &moved, output).await,
        Command::Resume { id, now } => moves::resume(client, id, now, output).await,
        Command::Cancel(moved) => moves::cancel(client, &moved, output).await,
        Command::Approval { id } => approvals::show(client, id, output).await,
        Command::Approve(approved) => approvals::approve(client, &approved, output).await,
        Command::Reject(rejected) => approvals::reject(client, &rejected, output).await,
        Command::Resend(again) => resend::resend(client, &again, output).await,
        // They need no client: `run` has executed them.
        Command::Completions { .. } | Command::Login(_) | Command::Logout => Ok(0),
    }
}

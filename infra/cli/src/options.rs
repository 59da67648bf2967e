//! The commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use uuid::Uuid;

use crate::approvals::{Approved, Rejected};

const EXIT_CODES: &str = "Exit codes: 0 done · 1 refused by the API · 2 wrong usage, or a file that \
    cannot be read · 3 the API is not reachable, or too busy · 4 the schedule did not end complete";

/// Sends SMS to lists of any size: a client of the scheduler's API.
#[derive(Debug, Parser)]
#[command(name = "sms", version, after_help = EXIT_CODES)]
pub struct Options {
    /// Print the API's answers, and its problems, as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the API is, and who calls it.
    #[command(flatten)]
    pub access: Access,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the API is, and who calls it.
#[derive(Debug, Args)]
pub struct Access {
    /// The address of the API; without it, that of the last login.
    #[arg(long, global = true, env = "SMS_API_URL")]
    pub url: Option<String>,
    /// An API key, instead of a login.
    #[arg(long, global = true, env = "SMS_API_KEY", hide_env_values = true)]
    pub key: Option<String>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Log in with a name and a password, or store an API key.
    Login(Login),
    /// End the session, and forget it.
    Logout,
    /// Send a text to a list.
    Send(Box<Order>),
    /// Show what a draft or a scheduled list would send, and when.
    Preview {
        /// The schedule.
        id: Uuid,
    },
    /// Start a draft.
    Start {
        /// The schedule.
        id: Uuid,
    },
    /// Watch a schedule until it is over.
    Watch(Watched),
    /// Fetch the report: one row per recipient.
    Report(Wanted),
    /// Show what needs an operator.
    Attention {
        /// Only one kind, such as `uncertain`.
        kind: Option<String>,
    },
    /// List schedules, the newest first.
    List(Filter),
    /// Show a schedule.
    Show {
        /// The schedule.
        id: Uuid,
    },
    /// Pause a schedule.
    Pause(Moved),
    /// Resume a schedule.
    Resume {
        /// The schedule.
        id: Uuid,
        /// If its time has passed, send now.
        #[arg(long)]
        now: bool,
    },
    /// Cancel a schedule; what was not sent is closed.
    Cancel(Moved),
    /// Show what is to be approved, with the hash that the approval names.
    Approval {
        /// The schedule.
        id: Uuid,
    },
    /// Approve a schedule of somebody else.
    Approve(Approved),
    /// Reject a schedule of somebody else, which is a draft again.
    Reject(Rejected),
    /// Send again to recipients of a finished schedule who got nothing.
    Resend(Again),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// To whom a finished schedule is sent again, and when.
#[derive(Debug, Args)]
pub struct Again {
    /// The finished schedule.
    pub id: Uuid,
    /// The states of the recipients: UNDELIV, EXPIRED, REJECTD, DELETED. Without it: UNDELIV.
    #[arg(long = "status")]
    pub statuses: Vec<String>,
    /// When: +15m, +2h, or a time with an offset. Without it: at once.
    #[arg(long, value_parser = crate::time::parse)]
    pub at: Option<crate::time::At>,
}

/// Who logs in.
#[derive(Debug, Args)]
pub struct Login {
    /// The name of the account. With `--key`, none is needed.
    #[arg(long, short)]
    pub username: Option<String>,
    /// Read the password from the first line of standard input, instead of asking for it. If a new
    /// one is needed, it is the second line.
    #[arg(long)]
    pub password_stdin: bool,
}

/// What is sent.
#[derive(Debug, Args)]
pub struct Order {
    /// The list: CSV, NDJSON or JSON, also compressed with gzip; `-` is standard input.
    pub list: PathBuf,
    /// The text. `{{name}}` is the column `name` of the list.
    #[arg(long, short, required_unless_present = "into")]
    pub text: Option<String>,
    /// When: `now`, `+90s`, `+15m`, `+2h`, `+1d`, or a time such as `2030-01-01T09:00:00+08:00`.
    #[arg(long, short, required_unless_present = "into", value_parser = crate::time::parse)]
    pub at: Option<crate::time::At>,
    /// Read the list, report what is wrong with it, and send nothing.
    #[arg(long, conflicts_with_all = ["draft", "into"])]
    pub dry_run: bool,
    /// Upload the list, but do not start it: see `preview` and `start`.
    #[arg(long)]
    pub draft: bool,
    /// Append to this draft, for example to continue an upload; then start it, unless `--draft`.
    #[arg(long, value_name = "ID", conflicts_with_all = ["text", "at"])]
    pub into: Option<Uuid>,
    /// How the list is written.
    #[command(flatten)]
    pub reading: Reading,
    /// How the schedule is sent.
    #[command(flatten)]
    pub policy: Policy,
    /// Watch it until it is over.
    #[arg(long, conflicts_with_all = ["draft", "dry_run"])]
    pub watch: bool,
}

/// How a list is written.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "The list")]
pub struct Reading {
    /// The format; by default it is detected.
    #[arg(long, value_enum)]
    pub format: Option<ListFormat>,
    /// The encoding, such as `windows-1252`; by default UTF-8, or that of a byte order mark.
    #[arg(long)]
    pub charset: Option<String>,
    /// The column with the numbers: its name, or its place from 1.
    #[arg(long)]
    pub column: Option<String>,
    /// The country in which numbers without a plus sign are dialled, such as `MY`.
    #[arg(long, value_name = "CC")]
    pub country: Option<String>,
    /// What an invalid number does: `reject` the list, or `skip` the entry.
    #[arg(long, value_enum)]
    pub on_invalid: Option<OnInvalid>,
    /// Which numbers are accepted.
    #[arg(long, value_enum)]
    pub types: Option<Types>,
}

/// How a schedule is sent.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "The schedule")]
pub struct Policy {
    /// What people call it.
    #[arg(long)]
    pub name: Option<String>,
    /// What your system calls it.
    #[arg(long)]
    pub reference: Option<String>,
    /// A label; may be repeated.
    #[arg(long = "label", value_name = "LABEL")]
    pub labels: Vec<String>,
    /// The sender.
    #[arg(long)]
    pub sender: Option<String>,
    /// Send only in these hours, such as `09:00-20:00`; needs `--zone`.
    #[arg(long, value_name = "FROM-TO", requires = "zone", value_parser = parse_window)]
    pub window: Option<(String, String)>,
    /// The time zone of the window, such as `Asia/Kuala_Lumpur`.
    #[arg(long, requires = "window")]
    pub zone: Option<String>,
    /// The days of the window, such as `Mon,Tue,Fri`.
    #[arg(long, value_delimiter = ',', requires = "window")]
    pub days: Vec<String>,
    /// Messages per second.
    #[arg(long)]
    pub rate: Option<u32>,
    /// What it gets while others wait too: `high`, `normal` or `bulk`.
    #[arg(long)]
    pub priority: Option<String>,
    /// Send nothing later than this time.
    #[arg(long, value_name = "TIME", conflicts_with = "within_s")]
    pub until: Option<String>,
    /// Send nothing later than this many seconds after its time.
    #[arg(long, value_name = "SECONDS")]
    pub within_s: Option<u32>,
    /// How often a message that ends UNDELIV or EXPIRED is tried.
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// What is found later than this is not sent.
    #[arg(long, value_name = "SECONDS")]
    pub max_lateness_s: Option<u32>,
    /// What happens to a message whose answer was lost: `hold` or `resend`.
    #[arg(long)]
    pub on_uncertain: Option<String>,
}

/// The format of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A table.
    Csv,
    /// A string or an object per line.
    Ndjson,
    /// An array.
    Json,
}

/// What an invalid number does.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnInvalid {
    /// Refuses the list.
    Reject,
    /// Is skipped, and reported.
    Skip,
}

/// Which numbers are accepted.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Types {
    /// All valid numbers.
    Any,
    /// No landlines, and no numbers of services.
    Mobile,
}

/// What is watched.
#[derive(Debug, Args)]
pub struct Watched {
    /// The schedule.
    pub id: Uuid,
    /// Give up after this many seconds, with exit code 4.
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
}

/// Which report is fetched.
#[derive(Debug, Args)]
pub struct Wanted {
    /// The schedule.
    pub id: Uuid,
    /// The format.
    #[arg(long, value_enum, default_value = "csv")]
    pub format: ReportFormat,
    /// The file; it is replaced when the report is complete. Without it, standard output.
    #[arg(long, short)]
    pub output: Option<PathBuf>,
    /// Only recipients in this state, such as `UNDELIV`.
    #[arg(long)]
    pub status: Option<String>,
}

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A table, for a spreadsheet.
    Csv,
    /// An object per line.
    Ndjson,
}

/// Which schedules are listed.
#[derive(Debug, Args)]
pub struct Filter {
    /// Only those in this state, such as `running`.
    #[arg(long)]
    pub status: Option<String>,
    /// Only those with this label.
    #[arg(long)]
    pub label: Option<String>,
    /// Only those with this text in the name, the reference or a label.
    #[arg(long)]
    pub search: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
}

/// A schedule, and why it is paused or cancelled.
#[derive(Debug, Args)]
pub struct Moved {
    /// The schedule.
    pub id: Uuid,
    /// Why; shown with the schedule and in the audit log.
    #[arg(long, short)]
    pub reason: Option<String>,
}

fn parse_window(given: &str) -> Result<(String, String), String> {
    let (from, to) = given
        .split_once('-')
        .ok_or("expected two times, such as 09:00-20:00")?;
    Ok((from.trim().to_owned(), to.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn what_belongs_together_is_required_together() {
        let table = [
            ("send l.csv --text Hi --at now", true),
            ("send l.csv --at now", false),
            ("send l.csv --text Hi", false),
            ("send l.csv --text Hi --at tomorrow", false),
            ("send l.csv --text Hi --at now --window 09:00-20:00", false),
            (
                "send l.csv --text Hi --at +1h --window 09:00-20:00 --zone Asia/Tokyo",
                true,
            ),
            (
                "send l.csv --into 01890a5d-ac96-774b-bcce-b302099a8057",
                true,
            ),
            ("send l.csv --into 1", false),
            ("send l.csv --text Hi --at now --dry-run --draft", false),
            ("watch 01890a5d-ac96-774b-bcce-b302099a8057 --json", true),
            ("approve 01890a5d-ac96-774b-bcce-b302099a8057", true),
            (
                "approve 01890a5d-ac96-774b-bcce-b302099a8057 --hash 12",
                false,
            ),
            ("reject 01890a5d-ac96-774b-bcce-b302099a8057", false),
            (
                "reject 01890a5d-ac96-774b-bcce-b302099a8057 --reason no",
                true,
            ),
        ];
        for (line, accepted) in table {
            let words = ["sms"].into_iter().chain(line.split(' '));
            assert_eq!(Options::try_parse_from(words).is_ok(), accepted, "{line}");
        }
    }
}

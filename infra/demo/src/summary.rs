//! The summary of a run: outcomes, precision, duration, memory use, and whether the proof holds.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter, Write},
};

use shared::message::status::Status;

use crate::{evidence::Case, gather::Proof, memory, proof::Findings};

/// The content of the summary. Its `Display` is the printed text.
pub struct Summary<'a> {
    /// The evidence and the findings.
    pub proof: &'a Proof,
    /// The peak resident size per function, in kB.
    pub highest_kb: &'a BTreeMap<String, u64>,
}

/// The times of one schedule, in milliseconds after `run_at`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The first send. A negative value is too early.
    pub first_sent_ms: Option<i64>,
    /// The last of the first attempts.
    pub last_first_attempt_ms: Option<i64>,
    /// The last final status.
    pub last_final_ms: Option<i64>,
    /// The number of recipients with at least one send.
    pub recipients_sent: u64,
}

impl Times {
    /// Computes the times from the rows.
    pub fn of(case: &Case) -> Self {
        let mut times = Self::default();
        for rows in case.recipients() {
            let Some(first_ms) = rows[0].sent_ms else {
                continue;
            };
            let since = |at_ms: i64| Some(at_ms - case.run_at_ms);
            times.recipients_sent += 1;
            times.first_sent_ms = times.first_sent_ms.into_iter().chain(since(first_ms)).min();
            times.last_first_attempt_ms = times.last_first_attempt_ms.max(since(first_ms));
            let last_ms = rows.iter().filter_map(|row| row.final_ms).max();
            times.last_final_ms = times.last_final_ms.max(last_ms.and_then(since));
        }
        times
    }
}

impl Display for Summary<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&outcomes(self.proof)?)?;
        out.write_str(&times(self.proof)?)?;
        out.write_str(&memory_table(self.highest_kb)?)?;
        out.write_str(&proof_result(
            &self.proof.findings,
            self.proof.no_ledger.as_deref(),
        )?)
    }
}

fn outcomes(proof: &Proof) -> Result<String, fmt::Error> {
    // By status, then by the number of sends.
    let mut ends = BTreeMap::<Status, BTreeMap<u32, u64>>::new();
    for row in proof.case.rows.iter().filter(|row| !row.earlier) {
        let sends = if row.attempt == 0 { 0 } else { row.resends + 1 };
        *ends
            .entry(row.status)
            .or_default()
            .entry(sends)
            .or_default() += 1;
    }
    let dispatched_by = proof.schedule.dispatched_by.as_deref().unwrap_or("nothing");
    let mut text = format!(
        "\nOutcome     {}, dispatched by {dispatched_by}\n",
        proof.schedule.status
    );
    // The statuses that readers look for are shown even if their count is zero.
    let asked_for = [Status::Delivrd, Status::Undeliv, Status::Uncertain];
    for status in Status::ALL {
        let sends = ends.remove(&status).unwrap_or_default();
        if sends.is_empty() && !asked_for.contains(&status) {
            continue;
        }
        write!(
            text,
            "  {:9} {:>10}",
            status.as_str(),
            grouped(sends.values().sum())
        )?;
        let after = sends.iter().filter(|(sends, _)| **sends > 0);
        let after: Vec<_> = after
            .map(|(sends, count)| format!("{} after {}", grouped(*count), attempts(*sends)))
            .collect();
        writeln!(
            text,
            "{}{}",
            if after.is_empty() { "" } else { "   " },
            after.join(", ")
        )?;
    }
    writeln!(
        text,
        "  duplicates{:>10}   left out, one message per number",
        grouped(proof.schedule.duplicates)
    )?;
    Ok(text)
}

fn attempts(count: u32) -> String {
    if count == 1 {
        "1 attempt".to_owned()
    } else {
        format!("{count} attempts")
    }
}

fn times(proof: &Proof) -> Result<String, fmt::Error> {
    let times = Times::of(&proof.case);
    let Some(first_ms) = times.first_sent_ms else {
        return Ok("Time        nothing was sent\n".to_owned());
    };
    let mut text = String::new();
    let early = if first_ms < 0 { "  TOO EARLY" } else { "" };
    write!(text, "Precision   first send {}{early}", relative(first_ms))?;
    match proof.findings.first_accepted_ms {
        Some(at_ms) => writeln!(
            text,
            "; first acceptance in the ledger {}",
            relative(at_ms - proof.case.run_at_ms)
        )?,
        None => writeln!(text)?,
    }
    let seconds = |ms: Option<i64>| ms.unwrap_or_default() as f64 / 1000.0;
    let sent_s = seconds(times.last_first_attempt_ms);
    let rate = |count: u64, seconds: f64| grouped((count as f64 / seconds.max(0.001)) as u64);
    write!(
        text,
        "Time        all first attempts sent within {sent_s:.1} s"
    )?;
    // Over less than a tenth of a second, a speed is meaningless.
    if sent_s >= 0.1 {
        write!(
            text,
            " ({} messages/s)",
            rate(times.recipients_sent, sent_s)
        )?;
    }
    if let Some(last_ms) = proof.findings.last_accepted_ms {
        write!(
            text,
            ", last acceptance at {:.1} s",
            seconds(Some(last_ms - proof.case.run_at_ms))
        )?;
    }
    let final_s = seconds(times.last_final_ms);
    writeln!(
        text,
        ", last message final at {final_s:.1} s ({} messages/s)",
        rate(times.recipients_sent, final_s)
    )?;
    Ok(text)
}

fn relative(ms: i64) -> String {
    format!(
        "{} ms {} run_at",
        ms.abs(),
        if ms < 0 { "before" } else { "after" }
    )
}

fn memory_table(highest_kb: &BTreeMap<String, u64>) -> Result<String, fmt::Error> {
    if highest_kb.is_empty() {
        return Ok("Memory      no function process was found on this machine\n".to_owned());
    }
    let mut text = "Memory      VmHWM, the maximum over each function's processes\n".to_owned();
    for (function, &kb) in highest_kb {
        let warning = if kb > memory::LIMIT_KB {
            "  WARNING: above 64 MB"
        } else {
            ""
        };
        writeln!(
            text,
            "  {function:20} {:>6.1} MB{warning}",
            kb as f64 / 1024.0
        )?;
    }
    Ok(text)
}

fn proof_result(findings: &Findings, no_ledger: Option<&str>) -> Result<String, fmt::Error> {
    let mut text = compared(findings, no_ledger)?;
    for (kind, (count, examples)) in findings.by_kind() {
        writeln!(
            text,
            "  WRONG: {} {} (recipients.seq {examples:?})",
            grouped(count),
            kind.sentence()
        )?;
    }
    text.push_str(if findings.holds() {
        "  THE PROOF HOLDS\n"
    } else {
        "  THE PROOF DOES NOT HOLD\n"
    });
    Ok(text)
}

/// Returns what was compared: the counts of both sides, and the acceptances that need a remark.
fn compared(findings: &Findings, no_ledger: Option<&str>) -> Result<String, fmt::Error> {
    let mut text = String::new();
    match no_ledger {
        Some(reason) => writeln!(
            text,
            "Proof       based on the database alone: the carrier has no ledger ({reason})"
        )?,
        None => writeln!(
            text,
            "Proof       ledger: {} acceptances; database: {} attempts accepted, with {} message ids; compared number by number",
            grouped(findings.matched + findings.uncertain_accepted),
            grouped(findings.accepted_attempts),
            grouped(findings.accepted_messages),
        )?,
    }
    if findings.uncertain > 0 {
        let accepted = grouped(findings.uncertain_accepted);
        let known = if findings.with_ledger {
            format!(" (the carrier accepted {accepted} messages of them)")
        } else {
            String::new()
        };
        writeln!(
            text,
            "  {} attempts are or were UNCERTAIN{known}",
            grouped(findings.uncertain)
        )?;
    }
    if findings.others > 0 {
        writeln!(
            text,
            "  {} acceptances to the same numbers belong to other schedules or texts",
            grouped(findings.others)
        )?;
    }
    if findings.cut > 0 {
        writeln!(
            text,
            "  NOTE: the carrier shortened {} messages",
            grouped(findings.cut)
        )?;
    }
    Ok(text)
}

/// Formats a number with thousands separators: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups
        .map(|group| String::from_utf8_lossy(group))
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests;

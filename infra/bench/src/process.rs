//! What a process has used, from `/proc`.

use std::{
    fs,
    ops::{Add, AddAssign},
};

/// Clock ticks per second in `/proc/<pid>/stat`: 100 on every Linux architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time and memory of a process, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time in seconds.
    pub cpu_s: f64,
    /// The highest resident memory in kB (`VmHWM`); of several processes, the highest of any.
    pub peak_kb: u64,
}

impl Usage {
    /// Reads the usage of a process; `None` if it does not exist.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self {
            cpu_s: cpu_s(&stat)?,
            peak_kb: peak_kb(&status).unwrap_or_default(),
        })
    }

    /// Returns the usage since `earlier`. The peak of memory stays that of the whole life.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_s: self.cpu_s - earlier.cpu_s,
            ..self
        }
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_s: self.cpu_s + other.cpu_s,
            peak_kb: self.peak_kb.max(other.peak_kb),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

fn cpu_s(stat: &str) -> Option<f64> {
    // The second field is the name in parentheses, which may contain blanks.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn peak_kb(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_proc_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 99 1 2";
        assert_eq!(cpu_s(stat), Some(3.0));
        assert_eq!(peak_kb("Name:\tx\nVmHWM:\t   5120 kB\n"), Some(5120));
        assert!(Usage::of(std::process::id()).is_some_and(|usage| usage.peak_kb > 0));
        assert_eq!(Usage::of(u32::MAX), None);
    }
}

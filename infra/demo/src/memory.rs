//! The functions' memory use: `VmHWM`, the peak resident size of a process, which is close to the
//! size that Lambda bills. Execution environments start and stop, so the sizes are sampled during
//! the run, and the largest per function is kept.

use std::{collections::BTreeMap, fs, path::Path};

/// The size that no function should exceed, in kB.
pub const LIMIT_KB: u64 = 64 * 1024;

/// The peak resident sizes measured so far.
pub struct Memory {
    endpoint: String,
    highest_kb: BTreeMap<String, u64>,
}

impl Memory {
    /// Measures only the functions of the stack with this AWS endpoint: another stack may run on
    /// the same machine.
    pub fn of_stack(aws_endpoint: &str) -> Self {
        Self {
            endpoint: port(aws_endpoint).to_owned(),
            highest_kb: BTreeMap::new(),
        }
    }

    /// Measures each function process on this machine. Does nothing if there is no `/proc`.
    pub fn sample(&mut self) {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            // Other users' processes can't be read, and a process may end while it is measured.
            self.measure(&process.path());
        }
    }

    fn measure(&mut self, process: &Path) -> Option<()> {
        if !process
            .file_name()?
            .to_str()?
            .bytes()
            .all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let name = self.function(&fs::read(process.join("environ")).ok()?)?;
        let kb = highest_kb(&fs::read_to_string(process.join("status")).ok()?)?;
        let highest = self.highest_kb.entry(name).or_default();
        *highest = kb.max(*highest);
        Some(())
    }

    /// Returns the name of the function with this process environment, if it belongs to this stack.
    fn function(&self, environ: &[u8]) -> Option<String> {
        let variable = |name: &str| {
            let found = environ
                .split(|&byte| byte == 0)
                .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
            found.map(String::from_utf8_lossy)
        };
        let name = variable("AWS_LAMBDA_FUNCTION_NAME")?;
        let ours =
            variable("AWS_ENDPOINT_URL").is_some_and(|endpoint| port(&endpoint) == self.endpoint);
        ours.then(|| name.into_owned())
    }

    /// Returns each function's peak resident size, in kB.
    pub fn highest_kb(&self) -> &BTreeMap<String, u64> {
        &self.highest_kb
    }
}

/// Returns the port of a URL. Only ports are compared, because 127.0.0.1 and localhost are the same
/// host.
fn port(url: &str) -> &str {
    url.trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap_or_default()
}

fn highest_kb(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_identified_by_its_environment() {
        let memory = Memory::of_stack("http://127.0.0.1:4566/");
        let table: [(&[u8], _); 4] = [
            (b"PATH=/bin\0AWS_LAMBDA_FUNCTION_NAME=sms-send\0AWS_ENDPOINT_URL=http://localhost:4566\0", Some("sms-send")),
            (b"AWS_LAMBDA_FUNCTION_NAME=sms-send", None),
            (b"AWS_LAMBDA_FUNCTION_NAME=sms-send\0AWS_ENDPOINT_URL=http://localhost:4567\0", None),
            (b"PATH=/bin\0NOT_AWS_LAMBDA_FUNCTION_NAME=x", None),
        ];
        for (environ, expected) in table {
            assert_eq!(
                memory.function(environ).as_deref(),
                expected,
                "{}",
                String::from_utf8_lossy(environ)
            );
        }
    }

    #[test]
    fn the_peak_resident_size_is_read() {
        assert_eq!(
            highest_kb("Name:\tsend\nVmPeak:\t  99 kB\nVmHWM:\t   12345 kB\n"),
            Some(12345)
        );
        assert_eq!(highest_kb("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn this_test_process_is_not_a_function() {
        let mut memory = Memory::of_stack("http://127.0.0.1:1");
        memory.sample();
        assert!(!memory.highest_kb().contains_key(""));
    }
}

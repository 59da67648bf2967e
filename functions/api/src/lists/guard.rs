//! Limits on what comes out of a reader: a parser holds one entry in memory, so an entry must end some time; and a small gzip
//! file can hold a very large one.

use std::{
    cell::Cell,
    fmt,
    io::{self, Read},
    rc::Rc,
};

use crate::http::error::ApiError;

/// Bytes between two entries.
const MAX_ENTRY: usize = 256 * 1024;
/// Bytes of a list in all, out of gzip.
const MAX_LIST: u64 = 128 * 1024 * 1024;

/// A reader that ends in an error where a limit is passed.
pub struct Guard<R> {
    inner: R,
    unused: Rc<Cell<usize>>,
    total: u64,
}

/// The limit that was passed.
#[derive(Debug)]
enum Passed {
    Entry,
    List,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry => write!(
                f,
                "expected entries of at most {} KB each",
                MAX_ENTRY / 1024
            ),
            Self::List => {
                write!(
                    f,
                    "expected a list of at most {} MB after gzip; append the rest by further calls",
                    MAX_LIST / 1024 / 1024
                )
            }
        }
    }
}

impl std::error::Error for Passed {}

impl<R: Read> Guard<R> {
    /// Watches `inner`; whoever finds an entry sets `unused` back to 0.
    pub fn new(inner: R, unused: Rc<Cell<usize>>) -> Self {
        Self {
            inner,
            unused,
            total: 0,
        }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unused.get() > MAX_ENTRY {
            return Err(io::Error::other(Passed::Entry));
        }
        if self.total > MAX_LIST {
            return Err(io::Error::other(Passed::List));
        }
        let count = self.inner.read(buffer)?;
        self.unused.set(self.unused.get() + count);
        self.total += count as u64;
        Ok(count)
    }
}

/// What a failed read means: a limit, or else broken gzip, since everything else is in memory.
pub fn explain(error: &io::Error) -> ApiError {
    match error
        .get_ref()
        .and_then(|error| error.downcast_ref::<Passed>())
    {
        Some(passed) => ApiError::TooLarge(passed.to_string()),
        None => ApiError::Malformed(format!("expected gzip: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads without end, finding an entry in every read or in none, and returns how far it came and why it ended.
    fn read_on(finds_entries: bool) -> (u64, String) {
        let unused = Rc::<Cell<usize>>::default();
        let mut guard = Guard::new(io::repeat(b' '), unused.clone());
        let mut buffer = vec![0; MAX_ENTRY / 4];
        let error = loop {
            if let Err(error) = guard.read(&mut buffer) {
                break error;
            }
            if finds_entries {
                unused.set(0);
            }
        };
        let ApiError::TooLarge(detail) = explain(&error) else {
            panic!("{error}")
        };
        (guard.total, detail)
    }

    #[test]
    fn a_list_and_an_entry_end_some_time() {
        let (read, detail) = read_on(true);
        assert!(
            read > MAX_LIST && read < MAX_LIST + MAX_ENTRY as u64 && detail.contains("128 MB"),
            "{read} {detail}"
        );
        let (read, detail) = read_on(false);
        assert!(
            read <= 2 * MAX_ENTRY as u64 && detail.contains("256 KB"),
            "{read} {detail}"
        );
    }
}

//! Limits on what a reader returns: a parser keeps one entry in memory, so the size of an entry is
//! limited; and a small gzip file can contain a very large list.

use std::{
    cell::Cell,
    fmt,
    io::{self, Read},
    rc::Rc,
};

use crate::{
    http::error::ApiError,
    lists::{charset::Replaced, quotes::OpenQuote},
};

/// Bytes between two entries, at most.
const MAX_ENTRY: usize = 256 * 1024;
/// Bytes of a list, at most, after decompression.
pub const MAX_LIST: u64 = 128 * 1024 * 1024;

/// A reader that fails when a limit is exceeded.
pub struct Guard<R> {
    inner: R,
    unused: Rc<Cell<usize>>,
    total: u64,
}

/// The limit that was exceeded.
#[derive(Debug)]
enum Exceeded {
    Entry,
    List,
}

impl fmt::Display for Exceeded {
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
                    "expected a list of at most {} MB after gzip; append the rest in further calls",
                    MAX_LIST / 1024 / 1024
                )
            }
        }
    }
}

impl std::error::Error for Exceeded {}

impl<R: Read> Guard<R> {
    /// Counts the bytes of `inner` in `unused`, which the parser resets to 0 at each entry.
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
            return Err(io::Error::other(Exceeded::Entry));
        }
        if self.total > MAX_LIST {
            return Err(io::Error::other(Exceeded::List));
        }
        let count = self.inner.read(buffer)?;
        self.unused.set(self.unused.get() + count);
        self.total += count as u64;
        Ok(count)
    }
}

/// Converts the error of a read: an exceeded limit, a lost character, an open quote, or else invalid
/// gzip, since all other input is in memory.
pub fn explain(error: &io::Error) -> ApiError {
    let Some(reason) = error.get_ref() else {
        return ApiError::Malformed(format!("expected gzip: {error}"));
    };
    if let Some(exceeded) = reason.downcast_ref::<Exceeded>() {
        return ApiError::TooLarge(exceeded.to_string());
    }
    if reason.is::<Replaced>() || reason.is::<OpenQuote>() {
        return ApiError::Malformed(error.to_string());
    }
    ApiError::Malformed(format!("expected gzip: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads endless input, with an entry in each read or in none; returns the number of bytes and
    /// the error.
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
    fn the_sizes_of_a_list_and_of_an_entry_are_limited() {
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

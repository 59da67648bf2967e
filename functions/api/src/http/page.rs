//! Pages of a list.

/// Which page of a list to read: at most `limit` entries, after a place in the order of the list.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<K> {
    /// The key of the last entry of the page before. A list in descending order continues below it.
    pub after: K,
    /// The largest number of entries.
    pub limit: u32,
}

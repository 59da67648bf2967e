//! The servers that a proxy can disconnect from the functions.

/// A server behind a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The carrier.
    Carrier,
    /// The database.
    Database,
}

impl Server {
    /// All servers.
    pub const ALL: [Self; 2] = [Self::Carrier, Self::Database];
}

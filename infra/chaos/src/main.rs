//! The chaos runner.
fn main() {}

//! Registration of faults: the only macro of this crate.

/// Declares one module per fault and collects their `FAULT` constants in `ALL`.
///
/// `category { fault_name }` refers to the file `category/fault_name.rs` beside the file that calls
/// this macro. One line therefore registers a fault. rustfmt does not follow modules that a macro
/// declares: `rustfmt --edition 2024` has to be called with the names of the files.
macro_rules! fault_table {
    ($($category:ident { $($fault:ident),+ $(,)? })+) => {
        $(
            mod $category {
                $(pub(super) mod $fault;)+
            }
        )+

        /// All faults, in the order in which `make chaos` prints them.
        pub const ALL: &[Fault] = &[$($($category::$fault::FAULT),+),+];
    };
}

pub(crate) use fault_table;

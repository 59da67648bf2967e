//! Measures how fast numbers are read, compared with the library's own check, on the same list in
//! the same run: numbers of each country code in turn, as in a worldwide list, and of one country
//! only.
//!
//! `cargo run --release -p shared --example phones`

use std::time::{Duration, Instant};

use shared::message::phone::Phone;

/// Returns numbers of nine digits after each code. Most are invalid, which takes no less time to
/// find.
fn list(codes: &[u32], count: usize) -> Vec<String> {
    let digits = |n: usize| 100_000_000 + (n * 7_919) % 899_999_999;
    (0..count)
        .map(|n| format!("+{}{}", codes[n % codes.len()], digits(n)))
        .collect()
}

/// Reads all numbers. Returns the time per number, and how many are valid.
fn measure(numbers: &[String], read: impl Fn(&str) -> bool) -> (Duration, usize) {
    // A first run, so that both have compiled their patterns.
    let valid = numbers
        .iter()
        .take(500)
        .filter(|number| read(number))
        .count();
    let start = Instant::now();
    let valid = valid + numbers.iter().filter(|number| read(number)).count();
    (start.elapsed() / numbers.len() as u32, valid)
}

fn main() {
    let world: Vec<u32> = (1..1000)
        .filter(|code| {
            Phone::parse(&format!("+{code}1")).map_err(shared::message::phone::PhoneError::code)
                != Err("unknown-country-code")
        })
        .collect();
    for (what, codes) in [
        ("every country", world.as_slice()),
        ("one country", &[60][..]),
    ] {
        let numbers = list(codes, 2_000);
        let (ours, _) = measure(&numbers, |number| Phone::parse(number).is_ok());
        let (library, _) = measure(&numbers, |number| {
            phonenumber::parse(None, number).is_ok_and(|number| phonenumber::is_valid(&number))
        });
        println!(
            "{what}: {ours:?} per number; phonenumber::parse and is_valid {library:?}; ratio {:.0}",
            library.as_secs_f64() / ours.as_secs_f64()
        );
    }
}

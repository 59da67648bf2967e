//! How fast numbers are read, beside the library's own check, on the same list in the same run: numbers of every country code in turn, as
//! in a list for the whole world, and of one country alone.
//!
//! `cargo run --release -p shared --example phones`

use std::time::{Duration, Instant};

use shared::message::phone::Phone;

/// Numbers of nine digits behind each code; most are valid nowhere, which costs no less to find out.
fn list(codes: &[u32], count: usize) -> Vec<String> {
    let digits = |n: usize| 100_000_000 + (n * 7_919) % 899_999_999;
    (0..count)
        .map(|n| format!("+{}{}", codes[n % codes.len()], digits(n)))
        .collect()
}

fn each(numbers: &[String], read: impl Fn(&str) -> bool) -> (Duration, usize) {
    // Once before, so that both have compiled what they keep.
    let valid = numbers
        .iter()
        .take(500)
        .filter(|number| read(number))
        .count();
    let begun = Instant::now();
    let valid = valid + numbers.iter().filter(|number| read(number)).count();
    (begun.elapsed() / numbers.len() as u32, valid)
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
        let (ours, _) = each(&numbers, |number| Phone::parse(number).is_ok());
        let (library, _) = each(&numbers, |number| {
            phonenumber::parse(None, number).is_ok_and(|number| phonenumber::is_valid(&number))
        });
        println!(
            "{what}: {ours:?} a number; phonenumber::parse and is_valid {library:?}; ratio {:.0}",
            library.as_secs_f64() / ours.as_secs_f64()
        );
    }
}

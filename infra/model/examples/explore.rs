//! Explores every mix and prints a line each: `cargo run --example explore [part of a name]`.

use model::broken::BROKEN;
use model::mixes::{MIXES, explore};

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let broken = BROKEN.into_iter().map(|(mix, _)| mix);
    for mix in MIXES.into_iter().chain(broken).filter(|mix| mix.title().contains(&wanted)) {
        let report = explore(mix);
        println!("{:>9} states, depth {:>3}, {:>5.1} s: {}", report.states, report.depth, report.time.as_secs_f64(), mix.title());
        if let Some((property, steps)) = report.violation {
            println!("  VIOLATED: {property}");
            for step in steps {
                println!("    {step}");
            }
        }
    }
}

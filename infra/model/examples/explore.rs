//! Explores all mixes and prints one line per mix, then a shortest violation of each broken
//! variant: `cargo run -p model --example explore [PART_OF_A_NAME]`.

use model::{
    broken::BROKEN,
    exploration::{explore, shortest_violation},
    mixes::MIXES,
};

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    for mix in MIXES
        .into_iter()
        .filter(|mix| mix.title().contains(&filter))
    {
        let report = explore(mix);
        println!(
            "{:>9} states, depth {:>3}, {:>5.1} s: {}",
            report.states,
            report.depth,
            report.time.as_secs_f64(),
            mix.title()
        );
        for (property, steps) in report.violations {
            print(property, &steps);
        }
    }
    for (mix, property) in BROKEN
        .into_iter()
        .filter(|(mix, _)| mix.title().contains(&filter))
    {
        println!("{}", mix.title());
        print(
            property,
            &shortest_violation(mix, property).unwrap_or_default(),
        );
    }
}

fn print(property: &str, steps: &[String]) {
    println!(
        "  \"{property}\" is violated after {} steps:\n    {}",
        steps.len(),
        steps.join("\n    ")
    );
}

//! The size of each function's binary, as built with the profile of this run.

use anyhow::Context;

use crate::{
    bench::{Bench, HELLO},
    figure::Figure,
};

/// Reads the sizes.
pub async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let hello = megabytes(bench, HELLO).await?;
    let mut figures = Vec::new();
    for function in bench.deployment.functions.keys() {
        if function != HELLO {
            let size = megabytes(bench, function).await?;
            let figure = Figure::new(format!("size of {function}"), size, "MB");
            figures.push(
                figure
                    .against("hello-world function", hello)
                    .goal("≤ 12 MB"),
            );
        }
    }
    Ok(figures)
}

async fn megabytes(bench: &Bench, function: &str) -> anyhow::Result<f64> {
    let path = bench.binaries.join(function);
    let found = tokio::fs::metadata(&path).await;
    let found = found.with_context(|| path.display().to_string())?;
    Ok(found.len() as f64 / 1_048_576.0)
}

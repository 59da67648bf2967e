//! A figure: a measured value, what it is measured against in the same run, and its goal.

use std::collections::BTreeMap;

/// What a figure is measured against.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Its name, such as `bare loop`.
    pub name: &'static str,
    /// Its value, in the figure's unit.
    pub value: f64,
}

/// A measured value of one run, or the median of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What is measured; the same in each run.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it is measured against.
    pub peer: Option<Peer>,
    /// Value divided by that of the peer.
    pub ratio: Option<f64>,
    /// The goal, as text. Nothing asserts it.
    pub goal: &'static str,
}

impl Figure {
    /// Returns a figure without a peer.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            peer: None,
            ratio: None,
            goal: "",
        }
    }

    /// Adds what it is measured against.
    #[must_use]
    pub fn against(self, name: &'static str, value: f64) -> Self {
        let ratio = (value != 0.0).then(|| self.value / value);
        Self {
            peer: Some(Peer { name, value }),
            ratio,
            ..self
        }
    }

    /// Adds the goal.
    #[must_use]
    pub fn goal(self, goal: &'static str) -> Self {
        Self { goal, ..self }
    }
}

/// Returns the median of each figure over several runs, in the order of the first run. The ratio is
/// the median of the ratios, because the machine's speed may differ between runs.
pub fn medians(runs: &[Vec<Figure>]) -> Vec<Figure> {
    let mut by_name: BTreeMap<&str, Vec<&Figure>> = BTreeMap::new();
    for figure in runs.iter().flatten() {
        by_name.entry(&figure.name).or_default().push(figure);
    }
    let first = runs.first().into_iter().flatten();
    first
        .map(|figure| {
            let of = |value: fn(&Figure) -> Option<f64>| {
                let figures = by_name.get(figure.name.as_str()).into_iter().flatten();
                median(figures.filter_map(|figure| value(figure)).collect())
            };
            let peer = figure.peer.as_ref().map(|peer| Peer {
                value: of(|figure| Some(figure.peer.as_ref()?.value)).unwrap_or_default(),
                ..peer.clone()
            });
            Figure {
                value: of(|figure| Some(figure.value)).unwrap_or_default(),
                ratio: of(|figure| figure.ratio),
                peer,
                ..figure.clone()
            }
        })
        .collect()
}

/// Returns the median; `None` without values. Of an even number, the lower middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    percentile(&mut values, 50)
}

/// Returns the smallest value that is not exceeded by `percent` of the values.
pub fn percentile(values: &mut [f64], percent: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_ratios() {
        let run =
            |ours: f64, peer: f64| vec![Figure::new("rate", ours, "/s").against("loop", peer)];
        let median = medians(&[run(10.0, 10.0), run(4.0, 8.0), run(9.0, 30.0)]);
        assert_eq!((median[0].value, median[0].ratio), (9.0, Some(0.5)));
        assert_eq!(median[0].peer.as_ref().map(|peer| peer.value), Some(10.0));
    }

    #[test]
    fn percentiles_are_measured_values() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let at = [50, 99, 100].map(|percent| percentile(&mut values, percent));
        assert_eq!(at, [Some(100.0), Some(198.0), Some(200.0)]);
        assert_eq!(percentile(&mut [], 50), None);
        assert_eq!(median(vec![7.0]), Some(7.0));
    }
}

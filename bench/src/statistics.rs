//! Medians, and how they are printed.

/// The middle of some measurements.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The value that `percent` of the measurements do not exceed (nearest rank).
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The median of `left / right`, pair by pair.
pub(crate) fn median_ratio(left: &[f64], right: &[f64]) -> f64 {
    let ratios: Vec<f64> = left.iter().zip(right).map(|(left, right)| left / right).collect();
    median(&ratios)
}

/// `0.93–1.02`: the smallest and the largest of the ratios, pair by pair.
pub(crate) fn spread(left: &[f64], right: &[f64]) -> String {
    let ratios = left.iter().zip(right).map(|(left, right)| left / right);
    let (low, high) = ratios.fold((f64::MAX, 0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
    format!("{low:.2}–{high:.2}")
}

/// The runs of a contender, round by round.
#[derive(Default)]
pub(crate) struct Timed {
    seconds: Vec<f64>,
    cpu_seconds: Vec<f64>,
}

impl Timed {
    pub(crate) fn add(&mut self, seconds: f64, cpu_seconds: f64) {
        self.seconds.push(seconds);
        self.cpu_seconds.push(cpu_seconds);
    }
}

/// A table of contenders that moved the same documents in the same rounds as the bare loop.
pub(crate) struct Contest<'a> {
    pub(crate) documents: u32,
    pub(crate) bare: &'a Timed,
}

impl Contest<'_> {
    /// Prints the head, and the bare loop's own row.
    pub(crate) fn begin(&self, unit: &str, bare: &str) {
        println!("| contender | {unit}/s (median) | ratio to the bare loop | CPU µs each, its own | peak memory |");
        println!("|---|---|---|---|---|");
        println!("| {bare} | {:.0} | 1 | {:.1} | – |", self.rate(self.bare), self.cpu_microseconds(self.bare));
    }

    /// Prints the row of a contender.
    pub(crate) fn row(&self, contender: &str, timed: &Timed, peak_megabytes: Option<u64>) {
        let peak = peak_megabytes.map_or("–".to_owned(), |megabytes| format!("{megabytes} MB"));
        println!(
            "| {contender} | {:.0} | {:.2} ({}) | {:.1} | {peak} |",
            self.rate(timed),
            median_ratio(&self.bare.seconds, &timed.seconds),
            spread(&self.bare.seconds, &timed.seconds),
            self.cpu_microseconds(timed),
        );
    }

    fn rate(&self, timed: &Timed) -> f64 {
        f64::from(self.documents) / median(&timed.seconds)
    }

    fn cpu_microseconds(&self, timed: &Timed) -> f64 {
        median(&timed.cpu_seconds) * 1e6 / f64::from(self.documents)
    }
}

//! Medians, and how they are printed.

/// The middle of some measurements.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
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

//! Medians and percentiles of measured values.

/// The median; `None` without values. The mean of the two middle values if their number is even.
pub(in crate::bench) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// The median of the ratios of values that were measured in the same round. Pairs without a ratio
/// are left out.
pub(in crate::bench) fn paired_ratio(ours: &[f64], reference: &[f64]) -> Option<f64> {
    let pairs = ours.iter().zip(reference);
    let ratios: Vec<_> =
        pairs.map(|(ours, other)| ours / other).filter(|ratio| ratio.is_finite()).collect();
    median(&ratios)
}

/// The nearest-rank percentile of sorted values.
pub(in crate::bench) fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_sorted_values() {
        let table: [(&[f64], _); 4] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 9.0, 2.0], Some(3.0)),
        ];
        for (values, expected) in table {
            assert_eq!(median(values), expected, "{values:?}");
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The second round was twice as slow for both.
        let (ours, reference) = ([1.0, 2.0, 1.5], [2.0, 4.0, 2.0]);

        assert_eq!(paired_ratio(&ours, &reference), Some(0.5));
        assert_eq!(paired_ratio(&[1.0, 3.0], &[0.0, 1.0]), Some(3.0), "no ratio to zero");
        assert_eq!(paired_ratio(&ours, &[]), None);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u32> = (1..=200).collect();

        assert_eq!(percentile(&values, 50), Some(100));
        assert_eq!(percentile(&values, 99), Some(198));
        assert_eq!(percentile(&[7], 50), Some(7));
        assert_eq!(percentile(&[7], 0), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}

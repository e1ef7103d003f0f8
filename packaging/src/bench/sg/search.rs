//! Searches the highest rate that a relay passes without loss.

/// First rate in Mbit/s.
const START: f64 = 500.0;
const GROWTH: f64 = 1.6;
/// The search ends when the bounds are this close.
const CLOSE: f64 = 1.05;
const MIN: f64 = 10.0;
const MAX: f64 = 40_000.0;

/// The highest rate in Mbit/s for which `passes` holds, to 5 %; 0 if there is none. A rate that
/// fails is tried a second time.
pub(super) fn highest<E>(mut passes: impl FnMut(f64) -> Result<bool, E>) -> Result<f64, E> {
    let mut twice = |rate| Ok(passes(rate)? || passes(rate)?);
    let (mut passed, mut failed) = (0.0, None);
    let mut rate = START;
    while (MIN..MAX).contains(&rate) {
        if twice(rate)? {
            passed = rate;
        } else {
            failed = Some(rate);
        }
        rate = match failed {
            None => rate * GROWTH,
            Some(failed) if passed == 0.0 => failed / GROWTH,
            Some(failed) if failed / passed <= CLOSE => break,
            Some(failed) => f64::sqrt(failed * passed),
        };
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_search_finds_a_limit_to_five_percent() {
        for limit in [60.0, 501.0, 1939.0, 5987.0] {
            let mut trials = 0;
            let found: Result<_, Infallible> = highest(|rate| {
                trials += 1;
                Ok(rate <= limit)
            });
            let Ok(found) = found;
            assert!(found <= limit && limit / found <= CLOSE, "{limit}: {found}");
            assert!(trials < 25, "{trials}");
        }
    }

    #[test]
    fn one_bad_trial_does_not_end_the_search() {
        let mut trials = 0;
        let Ok(found) = highest::<Infallible>(|rate| {
            trials += 1;
            Ok(trials % 2 == 0 && rate <= 2000.0)
        });

        assert!((1900.0..=2000.0).contains(&found), "{found}");
    }

    #[test]
    fn a_relay_that_loses_everything_has_no_rate() {
        assert_eq!(highest::<Infallible>(|_| Ok(false)), Ok(0.0));
    }
}

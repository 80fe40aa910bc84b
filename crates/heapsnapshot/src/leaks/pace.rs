//! Whether something grows as work is done: what grows with time, with the number of snapshots or once alone is
//! nobody's leak.

use super::{LeakOptions, Suspect};
use crate::{NodeOrdinal, Snapshot};

/// Those that grow in number in proportion to the work, and objects that do in size by themselves. A group has its
/// objects from many places, so its size has no measure; and what is large may grow once, and must not hide what
/// is in it.
pub(super) fn judged(
    last: &Snapshot,
    options: &LeakOptions,
    find: impl Fn(&LeakOptions) -> Vec<Suspect>,
) -> Vec<Suspect> {
    let mut found = find(&LeakOptions { min_bytes_of_few: u64::MAX, ..options.clone() });
    let mut large = find(&LeakOptions { min_objects: u64::MAX, ..options.clone() });
    large.retain(|suspect| {
        let pace = Pace(&options.work);
        // One that is made anew each time, and larger, is not the same.
        let sizes = suspect.container.as_ref().map_or(&suspect.retained, |of| &of.retained);
        let is_explained =
            found.iter().any(|known| dominates(last, suspect.example, known.example));
        pace.of_size(sizes, |&bytes| bytes) && !is_explained
    });
    found.extend(large);
    found.sort_by(super::order);
    found
}

fn dominates(snapshot: &Snapshot, node: NodeOrdinal, other: NodeOrdinal) -> bool {
    let above = |&at: &NodeOrdinal| Some(snapshot.dominator(at)).filter(|&above| above != at);
    std::iter::successors(Some(other), above).any(|at| at == node)
}

/// How much work was done before each snapshot, since the one before. Empty where it is not known: all keeps pace.
#[derive(Clone, Copy)]
pub(super) struct Pace<'a>(pub(super) &'a [f64]);

/// The growth for a unit of work in the slowest step is at least this part of that in the fastest. What grows by
/// as much at each snapshot has a third where one step has three times the work of another.
const COUNT: f64 = 0.6;
/// Sizes differ from one object to the next.
const SIZE: f64 = 0.4;
/// A table is up to twice as large as what is in it, and has a head.
const TABLE: f64 = 2.5;

#[expect(clippy::cast_precision_loss, reason = "compared with a part of another")]
impl Pace<'_> {
    /// Whether a number of objects grows in proportion in every step.
    pub(super) fn of_count<T>(self, series: &[T], pick: impl Fn(&T) -> u64) -> bool {
        self.is_even(series, pick, COUNT)
    }

    /// Whether a size does, or is what a table has that grows by doubling.
    pub(super) fn of_size<T>(self, series: &[T], pick: impl Fn(&T) -> u64) -> bool {
        self.is_even(series, &pick, SIZE) || self.is_table(series, pick)
    }

    fn is_even<T>(self, series: &[T], pick: impl Fn(&T) -> u64, least: f64) -> bool {
        let steps = series.windows(2).zip(self.0.iter().skip(1));
        let rates =
            steps.map(|(pair, work)| (pick(&pair[1]) as f64 - pick(&pair[0]) as f64) / work);
        let (low, high) = ends(rates);
        low >= least * high && (low > 0.0 || self.0.is_empty())
    }

    /// Whether it is in proportion to all that was done from the beginning on.
    fn is_table<T>(self, series: &[T], pick: impl Fn(&T) -> u64) -> bool {
        let mut done = 0.0;
        let total = self.0.iter().map(|work| {
            done += work;
            done
        });
        let (low, high) = ends(series.iter().zip(total).map(|(of, total)| pick(of) as f64 / total));
        low > 0.0 && high <= TABLE * low
    }
}

/// The least and the greatest; zeroes for none.
fn ends(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let spread = numbers.fold(None, |ends, number| {
        let (low, high) = ends.unwrap_or((number, number));
        Some((f64::min(low, number), f64::max(high, number)))
    });
    spread.unwrap_or((0.0, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: [f64; 4] = [20.0, 20.0, 60.0, 40.0];

    fn count(series: [u64; 4]) -> bool {
        Pace(&WORK).of_count(&series, |&count| count)
    }

    fn size(series: [u64; 4]) -> bool {
        Pace(&WORK).of_size(&series, |&bytes| bytes)
    }

    #[test]
    fn what_stays_of_each_run_keeps_pace() {
        assert!(count([25, 45, 105, 145]));
        assert!(count([10, 21, 50, 70]));
        assert!(size([1000, 2100, 5000, 7300]));
        // Elements of an array, which grows by half of itself, and of a Map, which doubles.
        assert!(size([2100, 3200, 7200, 10800]));
        assert!(size([4100, 8200, 16400, 16400]));
    }

    #[test]
    fn what_comes_once_or_with_each_snapshot_does_not() {
        assert!(!count([25, 45, 65, 85]));
        assert!(!count([25, 65, 65, 65]));
        assert!(!count([25, 25, 85, 125]));
        // What waits for a while is of the last round alone.
        assert!(!count([20, 20, 60, 40]));
        assert!(!size([4000, 8000, 8000, 8000]));
        assert!(!size([4000, 4000, 4000, 90000]));
    }

    #[test]
    fn without_a_measure_all_does() {
        assert!(Pace(&[]).of_count(&[1, 1], |&count| count));
        assert!(Pace(&[]).of_size(&[1, 1], |&bytes| bytes));
    }
}

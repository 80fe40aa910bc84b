//! When resident memory and the control group are looked at next: the sooner, the sooner they may reach a limit. Pure: figures
//! and times are arguments, sizes in bytes.

use std::time::{Duration, Instant};

/// Memory is not filled faster, in bytes a second: pages that the kernel has to clear, on one thread.
const FASTEST: f64 = 1024.0 * 1024.0 * 1024.0;

/// Looks are no closer together while a figure stands still just below its limit.
const AT_REST: Duration = Duration::from_millis(50);

/// Nor than this while it grows.
const SOONEST: Duration = Duration::from_millis(2);

/// So many looks, at least, before a figure that grows as it does reaches its limit.
const LOOKS: f64 = 4.0;

/// How long after a look the next one is due: `interval` at most. `room` is what is left below the limit, `speed` a second's growth.
pub(super) fn next_look(interval: Duration, room: f64, speed: f64) -> Duration {
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(interval);
    let at_rest = seconds(room / FASTEST).max(AT_REST);
    let growing = if speed > 0.0 { seconds(room / speed / LOOKS).max(SOONEST) } else { interval };
    interval.min(at_rest).min(growing)
}

/// How fast a figure has grown of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// What it is measured from: `SPAN` to twice that ago, as far as looks allow.
    from: Option<(Instant, f64)>,
    next: Option<(Instant, f64)>,
    speed: f64,
}

/// Of one large buffer nobody knows whether another one follows.
const SPAN: Duration = Duration::from_millis(100);

impl Pace {
    pub(super) fn saw(&mut self, now: Instant, value: f64) {
        let (Some(from), Some(next)) = (self.from, self.next) else {
            (self.from, self.next) = (Some((now, value)), Some((now, value)));
            return;
        };
        let passed = now.saturating_duration_since(from.0).as_secs_f64();
        if passed > 0.0 {
            self.speed = ((value - from.1) / passed).max(0.0);
        }
        if now.saturating_duration_since(next.0) >= SPAN {
            (self.from, self.next) = (Some(next), Some((now, value)));
        }
    }

    /// In bytes a second; 0 when it does not grow.
    pub(super) fn speed(&self) -> f64 {
        self.speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;
    const INTERVAL: Duration = Duration::from_secs(1);

    #[test]
    fn far_from_its_limit_a_figure_is_looked_at_once_in_an_interval() {
        assert_eq!(next_look(INTERVAL, 4096.0 * MIB, 0.0), INTERVAL);
        assert_eq!(next_look(INTERVAL, 4096.0 * MIB, MIB), INTERVAL);
    }

    #[test]
    fn what_stands_still_is_looked_at_before_it_can_be_outgrown_at_the_fastest() {
        assert_eq!(next_look(INTERVAL, 256.0 * MIB, 0.0), Duration::from_millis(250));
        assert_eq!(next_look(INTERVAL, 10.0 * MIB, 0.0), AT_REST);
        assert_eq!(
            next_look(Duration::from_millis(10), 10.0 * MIB, 0.0),
            Duration::from_millis(10)
        );
    }

    #[test]
    fn what_grows_is_looked_at_the_sooner_the_faster_it_does() {
        assert_eq!(next_look(INTERVAL, 80.0 * MIB, 1000.0 * MIB), Duration::from_millis(20));
        assert_eq!(next_look(INTERVAL, MIB, 1000.0 * MIB), SOONEST);
    }

    #[test]
    fn the_pace_is_that_of_the_last_tenths_of_a_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::default();
        pace.saw(at(0), 100.0);
        assert_eq!(pace.speed(), 0.0);
        pace.saw(at(50), 150.0);
        assert_eq!(pace.speed(), 1000.0);
        for (time, value) in [(100, 200.0), (200, 200.0), (300, 200.0), (400, 200.0)] {
            pace.saw(at(time), value);
        }
        assert_eq!(pace.speed(), 0.0);
        pace.saw(at(500), 100.0);
        assert_eq!(pace.speed(), 0.0, "less is no growth");
    }
}

//! When a figure has crossed its limit, and when it may again. Pure: figures are arguments, sizes in bytes.

/// Why a snapshot is taken: a part of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Used heap after a full garbage collection.
    Used,
    /// Memory outside of the heap that JavaScript's objects hold.
    External,
    /// Resident memory of the process.
    Rss,
    /// What the memory control group uses of its limit.
    Cgroup,
    /// Used heap over a baseline.
    Growth,
    /// The time has come.
    Schedule,
    /// V8's heap limit.
    Oom,
}

impl Reason {
    pub(crate) const ALL: [Reason; 7] = [
        Reason::Used,
        Reason::External,
        Reason::Rss,
        Reason::Cgroup,
        Reason::Growth,
        Reason::Schedule,
        Reason::Oom,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Used => "used",
            Reason::External => "external",
            Reason::Rss => "rss",
            Reason::Cgroup => "cgroup",
            Reason::Growth => "growth",
            Reason::Schedule => "schedule",
            Reason::Oom => "oom",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// What a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    Bytes(f64),
    /// Of V8's limit or the control group's.
    Percent(f64),
}

/// A figure that is over its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Crossing {
    pub(crate) reason: Reason,
    pub(crate) value: f64,
    pub(crate) limit: f64,
    /// It was below before; otherwise it has been over it since a snapshot could not be taken.
    pub(crate) is_new: bool,
}

/// One limit. Over it once, it is silent until the figure has fallen clearly below.
#[derive(Debug)]
pub(super) struct Threshold {
    pub(super) reason: Reason,
    limit: Limit,
    /// The part of the limit that the figure has to fall below it.
    hysteresis: f64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Below,
    Above { answered: bool },
}

impl Threshold {
    pub(super) fn new(reason: Reason, limit: Limit, hysteresis: f64) -> Threshold {
        Threshold { reason, limit, hysteresis, state: State::Below }
    }

    fn limit_of(&self, whole: f64) -> f64 {
        match self.limit {
            Limit::Bytes(bytes) => bytes,
            Limit::Percent(percent) => whole * percent / 100.0,
        }
    }

    /// What is left below the limit of a figure that has not crossed it; below 0 it is about to be judged.
    pub(super) fn room(&self, value: f64, whole: f64) -> Option<f64> {
        (self.state == State::Below).then(|| self.limit_of(whole) - value)
    }

    /// `whole` is what a limit in percent is of.
    pub(super) fn judge(&mut self, value: f64, whole: f64) -> Option<Crossing> {
        let limit = self.limit_of(whole);
        if value < limit {
            if value < limit * (1.0 - self.hysteresis) {
                self.state = State::Below;
            }
            return None;
        }
        let is_new = match self.state {
            State::Below => true,
            State::Above { answered: false } => false,
            State::Above { answered: true } => return None,
        };
        self.state = State::Above { answered: false };
        Some(Crossing { reason: self.reason, value, limit, is_new })
    }

    /// The crossing has its snapshot.
    pub(super) fn answered(&mut self) {
        self.state = State::Above { answered: true };
    }

    /// It had one that failed.
    pub(super) fn unanswered(&mut self) {
        if self.state == (State::Above { answered: true }) {
            self.state = State::Above { answered: false };
        }
    }
}

/// Growth of the used heap: an alert, and from there anew.
#[derive(Debug)]
pub(super) struct Growth {
    percent: f64,
    at_least: f64,
    baseline: f64,
    /// The baseline is what was used at the start, garbage included.
    is_first: bool,
}

impl Growth {
    pub(super) fn new(percent: f64, at_least: f64, used: f64) -> Growth {
        Growth { percent, at_least, baseline: used, is_first: true }
    }

    pub(super) fn judge(&mut self, used: f64) -> Option<Crossing> {
        if std::mem::take(&mut self.is_first) {
            self.baseline = self.baseline.min(used);
        }
        let limit =
            (self.baseline * (1.0 + self.percent / 100.0)).max(self.baseline + self.at_least);
        if used < limit {
            return None;
        }
        self.baseline = used;
        Some(Crossing { reason: Reason::Growth, value: used, limit, is_new: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_told_once_until_the_figure_has_fallen_clearly() {
        let mut rss = Threshold::new(Reason::Rss, Limit::Bytes(100.0), 0.1);
        assert_eq!(rss.judge(99.0, 0.0), None);
        assert!(rss.judge(100.0, 0.0).is_some_and(|crossing| crossing.is_new));
        rss.answered();
        assert_eq!(rss.judge(150.0, 0.0), None);
        assert_eq!(rss.judge(95.0, 0.0), None);
        assert_eq!(rss.judge(101.0, 0.0), None, "95 was not clearly below");
        assert_eq!(rss.judge(89.0, 0.0), None);
        assert!(rss.judge(101.0, 0.0).is_some_and(|crossing| crossing.is_new));
    }

    #[test]
    fn without_its_snapshot_a_crossing_comes_again_but_is_not_new() {
        let mut used = Threshold::new(Reason::Used, Limit::Percent(80.0), 0.1);
        let crossing = used.judge(85.0, 100.0).expect("over 80");
        assert_eq!((crossing.limit, crossing.is_new), (80.0, true));
        assert!(used.judge(85.0, 100.0).is_some_and(|crossing| !crossing.is_new));
        used.answered();
        assert_eq!(used.judge(99.0, 100.0), None);
        used.unanswered();
        assert!(used.judge(99.0, 100.0).is_some_and(|crossing| !crossing.is_new));
    }

    #[test]
    fn growth_starts_anew_after_each_alert() {
        let mut growth = Growth::new(50.0, 0.0, 120.0);
        assert_eq!(growth.judge(100.0), None, "the first collection shows what was garbage");
        assert_eq!(growth.judge(149.0), None);
        assert_eq!(growth.judge(150.0).map(|crossing| crossing.limit), Some(150.0));
        assert_eq!(growth.judge(200.0), None);
        assert_eq!(growth.judge(225.0).map(|crossing| crossing.limit), Some(225.0));
    }

    #[test]
    fn little_growth_of_a_small_heap_is_none() {
        let mut growth = Growth::new(50.0, 16.0, 4.0);
        assert_eq!(growth.judge(4.0), None);
        assert_eq!(growth.judge(19.0), None);
        assert!(growth.judge(20.0).is_some());
    }

    #[test]
    fn names_are_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(reason));
        }
        assert_eq!(Reason::from_name("auto"), None);
    }
}

//! How many attempts an endpoint may be sent in a month, and what happens when they are used up.

use std::time::SystemTime;

use super::month::Month;

/// What an endpoint says of its months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Attempts in a month.
    pub attempts: u64,
    /// What happens when they are used up.
    pub action: Action,
}

/// What happens when a quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Somebody is told.
    Warn,
    /// Calls wait for the next month.
    Hold,
}

/// What is left of a month's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Below zero where more was used than there may be now: what is given back must not make room then.
    left: i64,
    from: SystemTime,
    until: SystemTime,
}

/// How far a quota is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Four fifths of it.
    Most,
    /// All of it.
    All,
}

impl Action {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Hold => "hold",
        }
    }

    /// The action of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Warn, Self::Hold].into_iter().find(|action| action.name() == name)
    }
}

impl Quota {
    /// What is left of it in a month in which so much was used.
    pub fn allowance(self, used: u64, month: Month) -> Option<Allowance> {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let left = signed(self.attempts).saturating_sub(signed(used));
        let allowance = Allowance { left, from: month.begins_at(), until: month.next().begins_at() };
        (self.action == Action::Hold).then_some(allowance)
    }

    /// The highest mark that was passed when the attempts of a month rose.
    pub fn passed(self, before: u64, after: u64) -> Option<Mark> {
        let passed = |mark: u64| before < mark.max(1) && mark.max(1) <= after;
        let most = u64::try_from((u128::from(self.attempts) * 4).div_ceil(5)).unwrap_or(u64::MAX);
        match (passed(self.attempts), passed(most)) {
            (true, _) => Some(Mark::All),
            (false, true) => Some(Mark::Most),
            (false, false) => None,
        }
    }
}

impl Allowance {
    /// Whether one more attempt may be made. In another month nothing is known of what is left: it is worked out anew.
    pub fn has_one(&self, now: SystemTime) -> bool {
        self.left > 0 && (self.from..self.until).contains(&now)
    }

    /// Uses up one attempt.
    pub fn take_one(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// An attempt was not made.
    pub fn give_back(&mut self) {
        self.left = self.left.saturating_add(1);
    }

    /// When attempts may be made again, where none may be now.
    pub fn held_until(&self, now: SystemTime) -> Option<SystemTime> {
        (!self.has_one(now)).then_some(self.until)
    }
}

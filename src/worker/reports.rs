//! Taking what the engine has finished.
//!
//! Runs on the main thread of a dispatcher, outside of any transaction.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::batches::waits_for_items;
use super::ledger::Return;
use super::settle::{self, Grounds, Settled};
use super::turn::{ANSWER_BUDGET, Dispatcher};
use crate::domain::backlog::LaneName;
use crate::domain::profile::diagnosis::Diagnosis;

impl Dispatcher {
    /// Turns finished attempts into rows.
    pub(super) fn settle_reports(&mut self, now: SystemTime) {
        if let Some(engine) = &self.engine {
            let (mut pieces, mut drained) = (Vec::new(), Vec::new());
            engine.drain(&mut pieces, &mut drained);
            engine.drain_sockets(&mut self.sockets.news);
            self.streams.add(pieces);
            self.reports.extend(drained);
            super::engine_log::pump(engine);
        }
        self.land_pieces(now);
        let behind = self.streams.behind();
        let mut later = VecDeque::new();
        while self.outbox.bytes() < ANSWER_BUDGET {
            let Some(report) = self.reports.pop_front() else { break };
            if behind.contains(&report.call) {
                later.push_back(report);
                continue;
            }
            let entry = match self.ledger.returns_unless(report.call, |entry| waits_for_items(entry, &report.outcome)) {
                Return::Back(entry) => entry,
                Return::Stays => {
                    self.returned.add(report, now);
                    continue;
                }
                Return::Unknown => continue,
            };
            self.count_answer(&entry, &report.outcome, now);
            if let Some(terms) = entry.terms {
                self.delivery_returns(report, entry, terms, now);
                continue;
            }
            let settled = match self.streams.take_refusal(report.call) {
                Some(why) => settle::settle_refused(report, &entry, &why, now, &mut self.outbox),
                None => {
                    let policy = self.endpoints.retry(&entry.lane);
                    let diagnosis = Diagnosis::of(policy.profile, &report.outcome);
                    self.standings.heard(&entry.lane, &report.outcome, &diagnosis, now);
                    let grounds = Grounds { policy, diagnosis: &diagnosis, now, random: fastrand::f64() };
                    settle::settle(report, &entry, grounds, &mut self.outbox)
                }
            };
            self.note_settled(&entry.lane, &settled, now);
        }
        later.append(&mut self.reports);
        self.reports = later;
    }

    /// Tells a lane what became of one of its attempts.
    pub(super) fn note_settled(&mut self, lane: &LaneName, settled: &Settled, now: SystemTime) {
        self.backlog.ended(lane, settled.ended, now);
        if let Some(until) = settled.parks_endpoint {
            self.backlog.park(lane, until);
        }
    }
}

//! Sending a job: a token of its own for each delivery, the headers that tell of it, and the row that knows it.
//!
//! Runs on the main thread of a dispatcher. The row is written in the transaction of the lease, so a function may report
//! before it has answered.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{LOOK_AGAIN, Why};
use crate::domain::call::CallId;
use crate::domain::header::{self, own};
use crate::domain::job::{Terms, in_ascii};
use crate::domain::moment::Moment;
use crate::error::Error;
use crate::store::jobs::deliveries::{self, NewDelivery};
use crate::store::jobs::hold;
use crate::store::scan::Queued;
use crate::store::time::{to_moment, to_timestamp};
use crate::store::transaction::under_snapshot;
use crate::worker::send::{KeptBack, PAUSE_OF_ONE};
use crate::worker::turn::Dispatcher;

const JOB: HeaderName = HeaderName::from_static(own::JOB);
const TOKEN: HeaderName = HeaderName::from_static(own::TOKEN);
const DEADLINE: HeaderName = HeaderName::from_static(own::DEADLINE);
const PROGRESS: HeaderName = HeaderName::from_static(own::PROGRESS);

/// What is known of the row of a job that is to be sent.
#[derive(Debug)]
pub(super) enum Holding {
    /// It is ours, or there is none; with how far the job was.
    Ours(Option<String>),
    /// An earlier delivery is not over: it was reported on, or was interrupted.
    Open,
    /// Somebody else is writing it.
    Locked,
}

/// A delivery that is about to go out.
pub struct Handover {
    token: Zeroizing<String>,
    progress: Option<String>,
    delivery: NewDelivery,
}

impl std::fmt::Debug for Handover {
    /// Not the token: whoever has it may speak for the job.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.delivery.call.fmt(f)
    }
}

impl Handover {
    fn new(queued: &Queued, terms: Terms, progress: Option<String>) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| Error::NoRandomness)?;
        let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let sent_at = SystemTime::now();
        let delivery = NewDelivery {
            call: queued.id,
            number: queued.tries + 1,
            token: Sha256::digest(token.as_bytes()).to_vec(),
            sent_at,
            lease_until: sent_at + terms.deadline,
            grace: terms.grace(),
        };
        Ok(Self { token, progress, delivery })
    }

    /// Tells the function what it has to know to report.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        headers.insert(JOB, HeaderValue::from(self.delivery.call.0));
        if let Some(token) = header::secret_value(&self.token) {
            headers.insert(TOKEN, token);
        }
        if let Ok(deadline) = HeaderValue::try_from(moment(self.delivery.lease_until).to_string()) {
            headers.insert(DEADLINE, deadline);
        }
        if let Some(progress) = self.progress.as_deref().and_then(|json| HeaderValue::try_from(in_ascii(json)).ok()) {
            headers.insert(PROGRESS, progress);
        }
    }
}

impl Dispatcher {
    /// Takes the rows of the jobs among the chosen calls.
    pub(in crate::worker) fn hold_chosen(&mut self) -> Result<(), Error> {
        let is_new = |queued: &&Queued| queued.terms.is_some() && !self.jobs.holdings.contains_key(&queued.id);
        let jobs: Vec<CallId> =
            self.chosen.iter().map(|(_, waiting)| &waiting.queued).filter(is_new).map(|queued| queued.id).collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let held = under_snapshot(|| hold::hold(&jobs))?;
        for call in jobs {
            let holding = match held.row(call) {
                Some(row) if row.delivery.is_some() => Holding::Open,
                Some(row) => Holding::Ours(row.progress.clone()),
                None if held.is_locked(call) => Holding::Locked,
                None => Holding::Ours(None),
            };
            self.jobs.holdings.insert(call, holding);
        }
        Ok(())
    }

    /// What a call needs besides to be sent, where it is a job.
    pub(in crate::worker) fn handover(&self, queued: &Queued) -> Result<Option<Handover>, KeptBack> {
        let Some(terms) = queued.terms else { return Ok(None) };
        match self.jobs.holdings.get(&queued.id) {
            Some(Holding::Ours(progress)) => {
                Handover::new(queued, terms, progress.clone()).map(Some).map_err(|_| KeptBack::ForNow(PAUSE_OF_ONE))
            }
            Some(Holding::Open) => Err(KeptBack::Unsettled),
            Some(Holding::Locked) | None => Err(KeptBack::ForNow(LOOK_AGAIN)),
        }
    }

    /// An earlier delivery of a job is to be settled before another one goes out.
    pub(in crate::worker) fn is_unsettled(
        &mut self,
        queued: Queued,
        source: crate::worker::ledger::Source,
        now: SystemTime,
    ) {
        self.open_resting(queued, source, Why::Unsettled, now);
    }

    /// Writes the rows of the jobs that are leased, which are held.
    pub(in crate::worker) fn write_deliveries(&self) -> Result<(), Error> {
        let mut handovers = self.taking.iter().filter_map(|departure| departure.handover.as_ref()).peekable();
        if handovers.peek().is_some() {
            crate::worker::failpoint::hit("before_job_commit");
        }
        for handover in handovers {
            deliveries::deliver(&handover.delivery)?;
        }
        Ok(())
    }
}

fn moment(at: SystemTime) -> Moment {
    to_moment(to_timestamp(at))
}

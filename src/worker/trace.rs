//! What is written down of an attempt: when and how long, with whom, and what was wrong.

use std::cell::RefCell;
use std::net::SocketAddr;

use crate::domain::attempt::Report;
use crate::domain::fault::Fault;
use crate::domain::profile::diagnosis::Diagnosis;
use crate::store::responses::Trace;

/// What is written down of an attempt whose peer's platform said this.
pub(super) fn trace(report: &Report, diagnosis: &Diagnosis) -> Trace {
    let fault = Fault::of(&report.outcome, diagnosis);
    let (error_class, error) = fault.map(|fault| (fault.class.name(), fault.sentence.into_owned())).unzip();
    Trace {
        started_at: Some(report.started_at),
        timings: report.timings,
        remote: report.remote.map(text_of),
        status: report.outcome.head().map(|head| head.status),
        error_class,
        error,
    }
}

/// The same of an attempt of which nothing can be stored that the peer has sent.
pub(super) fn numbers(report: &Report) -> Trace {
    Trace {
        started_at: Some(report.started_at),
        timings: report.timings,
        status: report.outcome.head().map(|head| head.status),
        ..Trace::default()
    }
}

thread_local! {
    /// The address that was written last, with its text: mostly it is the next one as well.
    static LAST_ADDRESS: RefCell<Option<(SocketAddr, String)>> = const { RefCell::new(None) };
}

fn text_of(address: SocketAddr) -> String {
    LAST_ADDRESS.with_borrow_mut(|last| match last {
        Some((known, text)) if *known == address => text.clone(),
        _ => last.insert((address, address.to_string())).1.clone(),
    })
}

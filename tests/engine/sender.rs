//! The test's side of the engine: what the worker is in production.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use pg_edge::domain::attempt::{Attempt, Limits, Report, Route};
use pg_edge::domain::call::CallId;
use pg_edge::domain::guard::Guard;
use pg_edge::domain::network;
use pg_edge::domain::outcome::{Failure, FailureClass, Outcome, Response};
use pg_edge::domain::request::Request;
use pg_edge::engine::{Engine, Lookups, Settings, TlsSettings};
use url::Url;

use super::names::Names;

/// Longer than anything takes on a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine and the wakes it gave.
pub struct Sender {
    pub engine: Engine,
    pub wakes: Receiver<()>,
}

/// The peers of tests are on loopback addresses.
pub fn loopback() -> Guard {
    Guard { allowed_networks: network::parse("127.0.0.0/8, ::1").unwrap(), ..Guard::default() }
}

pub fn settings() -> Settings {
    Settings {
        idle_connection_timeout: Duration::from_secs(30),
        max_idle_per_host: 64,
        user_agent: "pg_edge-test".to_owned(),
        max_in_flight: 256,
        guard: loopback(),
        tls: TlsSettings::default(),
    }
}

/// A GET without a body, under generous limits.
pub fn get(url: &Url) -> Attempt {
    let request = Request { method: Method::GET, url: url.clone(), headers: HeaderMap::new(), body: None };
    let limits = Limits { connect: PATIENCE, total: PATIENCE, first_byte: None, max_response_bytes: 1_000_000 };
    Attempt { call: CallId(1), number: 1, request, limits, route: Route::default(), stream: None }
}

pub fn post(url: &Url, body: &'static str) -> Attempt {
    let mut attempt = get(url);
    attempt.request.method = Method::POST;
    attempt.request.body = Some(Bytes::from_static(body.as_bytes()));
    attempt
}

pub fn numbered(call: i64, attempt: Attempt) -> Attempt {
    Attempt { call: CallId(call), ..attempt }
}

/// Waits until something is true, and fails the test where it does not become so.
pub fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Sender {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        let (wake, wakes) = channel();
        let engine = Engine::start(settings, move || wake.send(()).unwrap_or_default()).unwrap();
        Self { engine, wakes }
    }

    /// One whose names resolve as a test says.
    pub fn resolving(settings: Settings, names: &Arc<Names>) -> Self {
        let (wake, wakes) = channel();
        let lookups = Arc::clone(names) as Arc<dyn Lookups>;
        let engine = Engine::start_with(settings, lookups, move || wake.send(()).unwrap_or_default()).unwrap();
        Self { engine, wakes }
    }

    /// Waits for `count` reports. Sleeps between wakes, so a lost wake fails the test.
    pub fn reports(&self, count: usize) -> Vec<Report> {
        let mut reports = Vec::new();
        loop {
            self.engine.drain(&mut Vec::new(), &mut reports);
            if reports.len() >= count {
                assert_eq!(reports.len(), count, "{reports:?}");
                return reports;
            }
            self.wakes.recv_timeout(PATIENCE).expect("a wake for each burst of reports");
        }
    }

    pub fn report(&self, attempt: Attempt) -> Report {
        self.engine.send(attempt);
        self.reports(1).remove(0)
    }

    pub fn response(&self, attempt: Attempt) -> Response {
        match self.report(attempt).outcome {
            Outcome::Response(response) => response,
            ended => panic!("{ended:?}"),
        }
    }

    pub fn failure(&self, attempt: Attempt) -> Failure {
        match self.report(attempt).outcome {
            Outcome::Failure(failure) => failure,
            ended => panic!("{ended:?}"),
        }
    }

    /// The class and message of a failure.
    pub fn refusal(&self, attempt: Attempt) -> (FailureClass, String) {
        let failure = self.failure(attempt);
        (failure.class, failure.message)
    }
}

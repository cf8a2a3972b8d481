//! The settings: two tables, and the plain [`Settings`] that the rest reads.

mod checks;
mod numbers;
mod texts;

use std::time::Duration;

use pgrx::guc::GucSetting;

use crate::domain::guard::{Guard, HostPattern};
use crate::domain::network;
use crate::engine::TlsSettings;

use self::numbers as set;
use crate::domain::breaker::BreakerRules;

/// The settings as plain values, taken on the main thread and free to go anywhere.
#[derive(Clone, Debug)]
pub struct Settings {
    pub max_in_flight: usize,
    pub max_concurrency: usize,
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
    pub first_byte_timeout: Option<Duration>,
    pub max_request_bytes: usize,
    pub max_response_bytes: usize,
    pub max_event_bytes: usize,
    pub max_stream_bytes: u64,
    pub stream_timeout: Duration,
    pub stream_idle_timeout: Option<Duration>,
    pub retention: Duration,
    pub idempotency_window: Duration,
    pub max_interruptions: u32,
    pub shutdown_grace: Duration,
    pub max_runners: usize,
    pub callback_timeout: Duration,
    pub breaker: BreakerRules,
    /// Zero where there is no limit.
    pub max_queued_per_role: u64,
    pub max_sql_jobs: usize,
    pub sql_job_timeout: Option<Duration>,
    pub schedule_history: Duration,
    pub max_catchup: usize,
    pub net_ttl: Duration,
    pub sockets: SocketSettings,
}

/// The settings of websockets.
#[derive(Clone, Copy, Debug)]
pub struct SocketSettings {
    pub max_connections: usize,
    pub max_message_bytes: usize,
    pub ping_interval: Duration,
    pub dead_after: Duration,
    pub handshake_timeout: Duration,
    pub max_backoff: Duration,
}

impl Settings {
    /// What is set now.
    pub fn current() -> Self {
        let first_byte = millis(&set::FIRST_BYTE_TIMEOUT);
        Self {
            max_in_flight: count(&set::MAX_IN_FLIGHT),
            max_concurrency: count(&set::MAX_CONCURRENCY),
            request_timeout: millis(&set::REQUEST_TIMEOUT),
            connect_timeout: millis(&set::CONNECT_TIMEOUT),
            first_byte_timeout: (!first_byte.is_zero()).then_some(first_byte),
            max_request_bytes: count(&set::MAX_REQUEST_BYTES),
            max_response_bytes: count(&set::MAX_RESPONSE_BYTES),
            max_event_bytes: count(&set::MAX_EVENT_BYTES),
            max_stream_bytes: count(&set::MAX_STREAM_BYTES) as u64,
            stream_timeout: millis(&set::STREAM_TIMEOUT),
            stream_idle_timeout: Some(millis(&set::STREAM_IDLE_TIMEOUT)).filter(|limit| !limit.is_zero()),
            retention: Duration::from_secs(count(&set::RETENTION) as u64),
            idempotency_window: Duration::from_secs(count(&set::IDEMPOTENCY_WINDOW) as u64),
            max_interruptions: set::MAX_INTERRUPTIONS.get().unsigned_abs(),
            shutdown_grace: millis(&set::SHUTDOWN_GRACE),
            max_runners: count(&set::MAX_RUNNERS),
            callback_timeout: millis(&set::CALLBACK_TIMEOUT),
            breaker: BreakerRules {
                failures: set::BREAKER_FAILURES.get().unsigned_abs(),
                first_pause: millis(&set::BREAKER_PAUSE),
            },
            max_queued_per_role: Self::max_queued_per_role(),
            max_sql_jobs: count(&set::MAX_SQL_JOBS),
            sql_job_timeout: Some(millis(&set::SQL_JOB_TIMEOUT)).filter(|limit| !limit.is_zero()),
            schedule_history: Duration::from_secs(count(&set::SCHEDULE_HISTORY) as u64),
            max_catchup: count(&set::MAX_CATCHUP),
            net_ttl: Duration::from_secs(count(&set::NET_TTL) as u64),
            sockets: SocketSettings {
                max_connections: count(&set::WS_MAX_CONNECTIONS),
                max_message_bytes: Self::ws_max_message_bytes(),
                ping_interval: millis(&set::WS_PING_INTERVAL),
                dead_after: millis(&set::WS_DEAD_AFTER),
                handshake_timeout: millis(&set::WS_HANDSHAKE_TIMEOUT),
                max_backoff: millis(&set::WS_MAX_BACKOFF),
            },
        }
    }

    /// One setting alone, since it is asked for with every message that is queued.
    pub fn ws_max_message_bytes() -> usize {
        count(&set::WS_MAX_MESSAGE_BYTES)
    }

    /// One setting alone, since sessions ask for no other when a websocket is opened.
    pub fn ws_max_per_role() -> u64 {
        count(&set::WS_MAX_PER_ROLE) as u64
    }

    /// One setting alone, since it is asked for with every message that is queued.
    pub fn ws_max_queued() -> u64 {
        count(&set::WS_MAX_QUEUED) as u64
    }

    /// One setting alone, since it is asked for with every call that is queued.
    pub fn max_queued_per_role() -> u64 {
        count(&set::MAX_QUEUED_PER_ROLE) as u64
    }
}

/// Where calls may go. What stands in the settings has been checked, so nothing is lost by taking an unreadable text
/// for an empty one.
pub fn guard() -> Guard {
    let hosts = |text: &str| HostPattern::parse_list(text).unwrap_or_default();
    Guard {
        allowed_networks: network::parse(&texts::read(&texts::ALLOWED_NETWORKS)).unwrap_or_default(),
        allowed_hosts: hosts(&texts::read(&texts::ALLOWED_HOSTS)),
        denied_hosts: hosts(&texts::read(&texts::DENIED_HOSTS)),
    }
}

/// Whom to trust.
pub fn tls() -> TlsSettings {
    let ca_file = texts::read(&texts::CA_FILE);
    TlsSettings {
        ca_file: (!ca_file.is_empty()).then(|| ca_file.into()),
        oldest: checks::version(&texts::read(&texts::TLS_MIN_VERSION)).unwrap_or_default(),
    }
}

/// The file of keys for secrets.
pub fn secret_key_file() -> String {
    texts::read(&texts::SECRET_KEY_FILE)
}

/// The directory of `${file:…}`, where there is one.
pub fn secrets_directory() -> Option<String> {
    Some(texts::read(&texts::SECRETS_DIRECTORY)).filter(|directory| !directory.is_empty())
}

fn count(setting: &GucSetting<i32>) -> usize {
    // No setting of the table has a negative minimum.
    setting.get().unsigned_abs() as usize
}

fn millis(setting: &GucSetting<i32>) -> Duration {
    Duration::from_millis(count(setting) as u64)
}

/// Makes the settings known to Postgres and refuses unknown ones under our prefix.
pub fn register() {
    numbers::register();
    texts::register();
    reserve_prefix();
}

#[allow(unsafe_code, reason = "pgrx has no wrapper for it")]
fn reserve_prefix() {
    // SAFETY: called from _PG_init on the main thread with a C string that lives for ever.
    unsafe {
        #[cfg(feature = "pg14")]
        pgrx::pg_sys::EmitWarningsOnPlaceholders(c"pg_edge".as_ptr());
        #[cfg(not(feature = "pg14"))]
        pgrx::pg_sys::MarkGUCPrefixReserved(c"pg_edge".as_ptr());
    }
}

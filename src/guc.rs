//! The one table of settings. From it come their registration and the plain [`Settings`] that the rest reads.

use std::ffi::CStr;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

/// One integer setting.
struct Setting {
    name: &'static CStr,
    summary: &'static CStr,
    detail: &'static CStr,
    value: &'static GucSetting<i32>,
    range: std::ops::RangeInclusive<i32>,
    unit: GucFlags,
}

macro_rules! settings {
    ($($static:ident = $default:literal in $range:expr, $unit:expr, $name:literal, $summary:literal, $detail:literal;)*) => {
        $(static $static: GucSetting<i32> = GucSetting::<i32>::new($default);)*
        const TABLE: &[Setting] = &[$(Setting {
            name: $name, summary: $summary, detail: $detail, value: &$static, range: $range, unit: $unit,
        },)*];
    };
}

const COUNT: GucFlags = GucFlags::empty();
const MEGABYTE: i32 = 1024 * 1024;

settings! {
    MAX_IN_FLIGHT = 256 in 1..=10_000, COUNT, c"pg_edge.max_in_flight",
        c"Calls on the wire at once, per database.",
        c"Never more than the process's file-descriptor limit allows.";
    MAX_CONCURRENCY = 64 in 1..=10_000, COUNT, c"pg_edge.max_concurrency_per_endpoint",
        c"Calls on the wire to one endpoint at once.",
        c"A call to a bare URL belongs to the endpoint of its origin.";
    REQUEST_TIMEOUT = 30_000 in 1..=86_400_000, GucFlags::UNIT_MS, c"pg_edge.request_timeout",
        c"How long an attempt may take in all, where the call does not say.",
        c"From its start to the last byte of the answer.";
    CONNECT_TIMEOUT = 5_000 in 1..=3_600_000, GucFlags::UNIT_MS, c"pg_edge.connect_timeout",
        c"How long making a connection may take.",
        c"Name resolution, TCP and TLS together.";
    FIRST_BYTE_TIMEOUT = 0 in 0..=86_400_000, GucFlags::UNIT_MS, c"pg_edge.first_byte_timeout",
        c"How long the response head may take.",
        c"Zero means that only the request timeout counts.";
    MAX_REQUEST_BYTES = 6_291_456 in 0..=512 * MEGABYTE, GucFlags::UNIT_BYTE, c"pg_edge.max_request_bytes",
        c"The largest request body.",
        c"A larger one is refused when the call is queued.";
    MAX_RESPONSE_BYTES = 6_291_456 in 0..=512 * MEGABYTE, GucFlags::UNIT_BYTE, c"pg_edge.max_response_bytes",
        c"The largest response body, after decompression.",
        c"A larger one is not read to its end; the call fails with error_class response_too_large.";
    RETENTION = 604_800 in 1..=315_360_000, GucFlags::UNIT_S, c"pg_edge.retention",
        c"How long finished calls are kept at least.",
        c"They are removed in slots of a seventh of this.";
    IDEMPOTENCY_WINDOW = 86_400 in 0..=315_360_000, GucFlags::UNIT_S, c"pg_edge.idempotency_window",
        c"How long an idempotency key is remembered.",
        c"";
    MAX_INTERRUPTIONS = 5 in 1..=100, COUNT, c"pg_edge.max_interruptions",
        c"A call that was on the wire this often when its worker died is failed.",
        c"So no call can keep a database from coming up.";
    SHUTDOWN_GRACE = 1_000 in 0..=60_000, GucFlags::UNIT_MS, c"pg_edge.shutdown_grace",
        c"How long calls on the wire may take to end when the worker stops.",
        c"What has not ended by then is sent again later.";
    MAX_RUNNERS = 4 in 0..=64, COUNT, c"pg_edge.max_runners",
        c"Processes that run callbacks at once, per database.",
        c"Each is a background worker and counts towards max_worker_processes.";
    CALLBACK_TIMEOUT = 30_000 in 1..=86_400_000, GucFlags::UNIT_MS, c"pg_edge.callback_timeout",
        c"How long an on_complete function may take.",
        c"A longer one is cancelled and its error recorded.";
}

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
    pub retention: Duration,
    pub idempotency_window: Duration,
    pub max_interruptions: u32,
    pub shutdown_grace: Duration,
    pub max_runners: usize,
    pub callback_timeout: Duration,
}

impl Settings {
    /// What is set now.
    pub fn current() -> Self {
        let first_byte = millis(&FIRST_BYTE_TIMEOUT);
        Self {
            max_in_flight: count(&MAX_IN_FLIGHT),
            max_concurrency: count(&MAX_CONCURRENCY),
            request_timeout: millis(&REQUEST_TIMEOUT),
            connect_timeout: millis(&CONNECT_TIMEOUT),
            first_byte_timeout: (!first_byte.is_zero()).then_some(first_byte),
            max_request_bytes: count(&MAX_REQUEST_BYTES),
            max_response_bytes: count(&MAX_RESPONSE_BYTES),
            retention: Duration::from_secs(count(&RETENTION) as u64),
            idempotency_window: Duration::from_secs(count(&IDEMPOTENCY_WINDOW) as u64),
            max_interruptions: MAX_INTERRUPTIONS.get().unsigned_abs(),
            shutdown_grace: millis(&SHUTDOWN_GRACE),
            max_runners: count(&MAX_RUNNERS),
            callback_timeout: millis(&CALLBACK_TIMEOUT),
        }
    }
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
    for setting in TABLE {
        GucRegistry::define_int_guc(
            setting.name,
            setting.summary,
            setting.detail,
            setting.value,
            *setting.range.start(),
            *setting.range.end(),
            GucContext::Sighup,
            setting.unit,
        );
    }
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

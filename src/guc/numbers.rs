//! The settings that are numbers.

use std::ffi::CStr;

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
        $(pub(super) static $static: GucSetting<i32> = GucSetting::<i32>::new($default);)*
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
    MAX_EVENT_BYTES = 1_048_576 in 1..=64 * MEGABYTE, GucFlags::UNIT_BYTE, c"pg_edge.max_event_bytes",
        c"The largest event of a streamed answer.",
        c"A larger one ends the stream; the call fails with error_class event_too_large.";
    MAX_STREAM_BYTES = 67_108_864 in 0..=i32::MAX, GucFlags::UNIT_BYTE, c"pg_edge.max_stream_bytes",
        c"The largest streamed answer, after decompression.",
        c"A larger one is not read to its end; the call fails with error_class response_too_large.";
    STREAM_TIMEOUT = 900_000 in 1..=86_400_000, GucFlags::UNIT_MS, c"pg_edge.stream_timeout",
        c"How long an attempt whose answer is streamed may take in all, where neither the call nor its endpoint says.",
        c"Takes the place of pg_edge.request_timeout for such calls.";
    STREAM_IDLE_TIMEOUT = 150_000 in 0..=86_400_000, GucFlags::UNIT_MS, c"pg_edge.stream_idle_timeout",
        c"How long the peer of a streamed answer may be silent.",
        c"Before the response head, too, where nothing else limits that. Zero leaves it to the limit of the whole attempt.";
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
    BREAKER_FAILURES = 5 in 0..=10_000, COUNT, c"pg_edge.breaker_failures",
        c"Failures in a row after which an endpoint is not called for a while.",
        c"Its calls wait and lose no attempt. Zero goes on calling it.";
    BREAKER_PAUSE = 30_000 in 100..=600_000, GucFlags::UNIT_MS, c"pg_edge.breaker_pause",
        c"How long such an endpoint is left alone before one call is sent as a probe.",
        c"Doubled each time the probe fails, up to 10 minutes.";
    CALLBACK_TIMEOUT = 30_000 in 1..=86_400_000, GucFlags::UNIT_MS, c"pg_edge.callback_timeout",
        c"How long an on_complete function may take.",
        c"A longer one is cancelled and its error recorded.";
    MAX_SQL_JOBS = 5 in 0..=128, COUNT, c"pg_edge.max_sql_jobs",
        c"Commands of schedules that run at once, per database.",
        c"Each is run by a background worker of its own and counts towards max_worker_processes.";
    SQL_JOB_TIMEOUT = 3_600_000 in 0..=i32::MAX, GucFlags::UNIT_MS, c"pg_edge.sql_job_timeout",
        c"How long the command of a schedule may take, where the schedule does not say.",
        c"A longer one is cancelled, and its run has failed. Zero means no limit.";
    SCHEDULE_HISTORY = 2_592_000 in 1..=315_360_000, GucFlags::UNIT_S, c"pg_edge.schedule_history",
        c"How long the runs of schedules are kept after they have ended.",
        c"The last run of each schedule is kept for longer.";
    MAX_CATCHUP = 100 in 1..=100_000, COUNT, c"pg_edge.max_catchup",
        c"Runs that are made up for at once, for a schedule with catchup all.",
        c"The latest ones are run; those before them are skipped, and said to be.";
    WS_MAX_CONNECTIONS = 10_000 in 0..=1_000_000, COUNT, c"pg_edge.ws_max_connections",
        c"Websockets that are kept open at once, per database.",
        c"Never more than the process's file-descriptor limit allows. Those beyond it wait.";
    WS_MAX_PER_ROLE = 0 in 0..=1_000_000, COUNT, c"pg_edge.ws_max_per_role",
        c"Websockets that one role may want at once, per database.",
        c"One more is refused when it is opened. Zero means no limit.";
    WS_MAX_MESSAGE_BYTES = 1_048_576 in 1..=64 * MEGABYTE, GucFlags::UNIT_BYTE, c"pg_edge.ws_max_message_bytes",
        c"The largest message over a websocket, in both directions.",
        c"A larger one is refused when it is queued; a peer that sends one is told so with close code 1009.";
    WS_MAX_QUEUED = 10_000 in 1..=i32::MAX, COUNT, c"pg_edge.ws_max_queued",
        c"Messages that may wait to be sent over one websocket.",
        c"One more is refused when it is queued.";
    WS_PING_INTERVAL = 20_000 in 10..=3_600_000, GucFlags::UNIT_MS, c"pg_edge.ws_ping_interval",
        c"How often the peer of a websocket is pinged.",
        c"Its heartbeat, where it has one, is sent as often.";
    WS_DEAD_AFTER = 40_000 in 20..=3_600_000, GucFlags::UNIT_MS, c"pg_edge.ws_dead_after",
        c"A websocket whose peer was silent for so long is taken for dead and opened anew.",
        c"Any frame of the peer ends its silence, the answer to a ping above all.";
    WS_HANDSHAKE_TIMEOUT = 10_000 in 1..=600_000, GucFlags::UNIT_MS, c"pg_edge.ws_handshake_timeout",
        c"How long opening a websocket may take, from the name to the answer to the handshake.",
        c"Making the connection is limited by pg_edge.connect_timeout as well.";
    WS_MAX_BACKOFF = 30_000 in 10..=86_400_000, GucFlags::UNIT_MS, c"pg_edge.ws_max_backoff",
        c"The longest wait before a lost websocket is opened anew.",
        c"The first wait is up to a second, or up to this where it is less; each further one up to twice as long.";
    NET_TTL = 21_600 in 1..=315_360_000, GucFlags::UNIT_S, c"pg_edge.net_ttl",
        c"How long rows of net._http_response are kept.",
        c"Of the extension pg_edge_net, as pg_net.ttl of pg_net.";
    MAX_QUEUED_PER_ROLE = 0 in 0..=i32::MAX, COUNT, c"pg_edge.max_queued_per_role",
        c"Calls of one role that may wait or run at once, per database.",
        c"One more is refused when it is queued. Zero means no limit.";
}

/// Makes them known to Postgres.
pub(super) fn register() {
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
}

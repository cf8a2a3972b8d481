//! Keeping the values of secrets, and the tokens of jobs, out of the server log and of pg_stat_activity.
//!
//! Postgres logs statements, their parameters, and errors with the statement that met them. A line that names
//! `set_secret` or one of the functions that report on a job anywhere, or that is written while a statement runs that
//! has called one, is replaced by a fixed sentence of the same severity. What Postgres writes without asking a hook is
//! listed in docs/secrets.md.
//!
//! Runs in every process of the cluster, wherever a line is logged: in signal handlers and out of memory too. So
//! nothing here allocates, locks or raises an error.

#![allow(unsafe_code, reason = "a hook of Postgres is a C function over its error data")]

use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicI64, Ordering};

use pgrx::pg_sys;

/// What a text names that must not be logged, whatever stands around it.
const MARK: &[u8] = b"set_secret";

/// The same, where their schema's name stands before them: by themselves they are words as any others.
const REPORTS: [&[u8]; 3] = [b"complete", b"fail", b"heartbeat"];
const SCHEMA: &[u8] = b"edge";

/// Blanks as SQL knows them.
const BLANKS: &[u8] = b" \t\n\r\x0b\x0c";

/// What is logged instead. A line with this very pointer as its message has been dealt with.
const INSTEAD: &CStr = c"a log line of a statement that sets a secret or reports on a job was hidden by pg_edge";

/// What pg_stat_activity shows instead of a statement that sets a secret.
pub const SETS_SECRET: &CStr = c"select edge.set_secret(...)";

/// The same of one that reports on a job.
pub const REPORTS_ON_JOB: &CStr = c"select edge.complete|fail|heartbeat(...)";

static mut PREVIOUS: pg_sys::emit_log_hook_type = None;

/// When the statement began that has called one of the functions last in this process; zero before the first.
static CONCEALED: AtomicI64 = AtomicI64::new(0);

unsafe extern "C-unwind" {
    /// Postgres' own, without pgrx' guard: whatever happens inside is Postgres' to deal with, and no frame of ours
    /// below it has anything to drop.
    #[link_name = "EmitErrorReport"]
    fn emit_error_report();
}

/// Hooks into the log while the server starts.
pub fn register() {
    // SAFETY: _PG_init runs once, on the only thread of the postmaster.
    unsafe {
        PREVIOUS = pg_sys::emit_log_hook;
        pg_sys::emit_log_hook = Some(on_line);
    }
}

/// Hides the running statement from pg_stat_activity, at once, and from the log, until it has ended.
pub fn running_statement(shown: &'static CStr) {
    // SAFETY: main thread, inside a statement; the text lives for ever, and is copied.
    unsafe {
        CONCEALED.store(pg_sys::GetCurrentStatementStartTimestamp(), Ordering::Relaxed);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, shown.as_ptr());
    }
}

/// Called for each line that is about to go to the server log.
unsafe extern "C-unwind" fn on_line(line: *mut pg_sys::ErrorData) {
    // SAFETY: Postgres passes the top of its stack of errors, whose texts are C strings or null.
    unsafe {
        let is_dealt_with = (*line).message.cast_const() == INSTEAD.as_ptr();
        if !is_dealt_with && gives_away(&*line) {
            log_instead(line);
        } else if let Some(previous) = PREVIOUS {
            previous(line);
        }
    }
}

/// Logs the fixed sentence in place of a line. The client still gets the line: it has sent the value itself.
///
/// SAFETY: `line` must be the top of Postgres' stack of errors, which is what `EmitErrorReport` takes.
unsafe fn log_instead(line: *mut pg_sys::ErrorData) {
    // SAFETY: the structure is plain data of this process. The copy puts back what Postgres is to free later.
    unsafe {
        let whole = *line;
        (*line).message = INSTEAD.as_ptr().cast_mut();
        for text in [
            &mut (*line).detail,
            &mut (*line).detail_log,
            &mut (*line).hint,
            &mut (*line).context,
            &mut (*line).backtrace,
            &mut (*line).internalquery,
        ] {
            *text = std::ptr::null_mut();
        }
        (*line).cursorpos = 0;
        (*line).internalpos = 0;
        (*line).hide_stmt = true;
        (*line).hide_ctx = true;
        (*line).output_to_client = false;
        emit_error_report();
        *line = whole;
        (*line).output_to_server = false;
    }
}

/// Whether a line, or the statement that would be logged with it, may hold the value of a secret or the token of a job.
///
/// SAFETY: the texts of the line must be C strings or null.
unsafe fn gives_away(line: &pg_sys::ErrorData) -> bool {
    // SAFETY: reads of this process's own variables; Postgres prints the same texts right after this.
    unsafe {
        let concealed = CONCEALED.load(Ordering::Relaxed);
        if concealed != 0 && concealed == pg_sys::GetCurrentStatementStartTimestamp() {
            return true;
        }
        let texts = [line.message, line.detail, line.detail_log, line.hint, line.context, line.internalquery];
        names_it(pg_sys::debug_query_string) || texts.into_iter().any(|text| names_it(text))
    }
}

/// Whether a text names one of the functions, in letters of either case.
///
/// SAFETY: `text` must be a C string or null.
unsafe fn names_it(text: *const c_char) -> bool {
    if text.is_null() {
        return false;
    }
    // SAFETY: the caller passes a C string.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    names(bytes, MARK).next().is_some() || names(bytes, SCHEMA).any(|at| reports(&bytes[at + SCHEMA.len()..]))
}

/// Where a name stands in a text.
fn names<'a>(text: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let is_name = move |window: &[u8]| window[0] | 0x20 == name[0] && window.eq_ignore_ascii_case(name);
    text.windows(name.len()).enumerate().filter(move |(_, window)| is_name(window)).map(|(at, _)| at)
}

/// Whether a text goes on with one of the functions that report on a job, after the name of their schema. Either may be
/// quoted, and blanks may stand around the dot.
fn reports(after_schema: &[u8]) -> bool {
    let after = past(past(after_schema, b"\""), BLANKS);
    let Some(after) = after.strip_prefix(b".") else { return false };
    let name = past(past(after, BLANKS), b"\"");
    REPORTS.into_iter().any(|report| {
        let is_named = name.get(..report.len()).is_some_and(|start| start.eq_ignore_ascii_case(report));
        is_named && !name.get(report.len()).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_')
    })
}

/// What follows in a text after some of these characters.
fn past<'a>(text: &'a [u8], skipped: &[u8]) -> &'a [u8] {
    let start = text.iter().position(|byte| !skipped.contains(byte)).unwrap_or(text.len());
    &text[start..]
}

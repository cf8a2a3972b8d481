//! Places where tests make a process fail. Compiled out of releases.
//!
//! A test writes `point action` into the file `pg_edge_failpoint` of the data directory. The first process to pass
//! that point removes the file and does what it says, so that a restarted server does not fail again. Several actions,
//! parted by semicolons, are those of as many passes.
//!
//! `point stands` is for a test in which something is so for as long as the file is there, however many pass.

#![cfg_attr(feature = "test-hooks", allow(unsafe_code, reason = "a process kills itself as a crash would"))]

/// Passes a point.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub fn hit(_point: &str) {}

#[cfg(feature = "test-hooks")]
const FILE: &str = "pg_edge_failpoint";

/// Whether a test has it that something is so.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub fn stands(_point: &str) -> bool {
    false
}

/// Whether a test has it that something is so.
#[cfg(feature = "test-hooks")]
pub fn stands(point: &str) -> bool {
    std::fs::read_to_string(FILE).is_ok_and(|text| text.trim().split_once(' ') == Some((point, "stands")))
}

/// Passes a point.
#[cfg(feature = "test-hooks")]
pub fn hit(point: &str) {
    let Ok(text) = std::fs::read_to_string(FILE) else { return };
    let Some((wanted, action)) = text.trim().split_once(' ') else { return };
    if wanted != point || std::fs::remove_file(FILE).is_err() {
        return;
    }
    let (action, rest) = action.split_once(';').unwrap_or((action, ""));
    if !rest.is_empty() && std::fs::write(FILE, format!("{point} {rest}")).is_err() {
        pgrx::warning!("failpoint {point} cannot be armed again");
    }
    match action {
        // SAFETY: a signal to ourselves; nothing after it runs.
        "kill" => unsafe {
            libc::kill(libc::getpid(), libc::SIGKILL);
        },
        // For a test that wants to know when somebody passes.
        "pass" => {}
        "error" => pgrx::error!("failpoint {point}"),
        // A disk that is full, as Postgres would say it.
        "disk_full" => {
            pgrx::ereport!(
                ERROR,
                pgrx::PgSqlErrorCode::ERRCODE_DISK_FULL,
                "could not extend file: No space left on device"
            );
        }
        _ => pgrx::warning!("failpoint {point} has no action \"{action}\""),
    }
}

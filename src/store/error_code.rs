//! The code of the error that was raised last, for errors whose code pgrx does not know.
//!
//! A user may raise any five characters as SQLSTATE. pgrx turns a code that is not in its list into XX000, so it is noted
//! where Postgres lets it be read: in a callback for error contexts, which Postgres calls for each error as it is raised.

#![allow(unsafe_code, reason = "an error context callback is a C function")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};

use pgrx::{PgSqlErrorCode, pg_sys};

unsafe extern "C-unwind" {
    /// The code of the error being raised; meant for these callbacks alone. Without pgrx' guard, since it cannot fail.
    fn geterrcode() -> c_int;
}

/// Listens until it is dropped.
pub struct Listener {
    /// In a box, because Postgres keeps a pointer to it.
    inner: Box<Inner>,
}

struct Inner {
    callback: pg_sys::ErrorContextCallback,
    code: AtomicI32,
}

impl Listener {
    /// Begins to listen.
    pub fn begin() -> Self {
        let callback = pg_sys::ErrorContextCallback::default();
        let mut inner = Box::new(Inner { callback, code: AtomicI32::new(0) });
        // SAFETY: main thread. The entry is taken off the stack again when the listener is dropped, and every error that
        // unwinds to its owner has put the stack back to where the owner left it.
        unsafe {
            inner.callback.previous = pg_sys::error_context_stack;
            inner.callback.callback = Some(note);
            inner.callback.arg = (&raw const inner.code).cast_mut().cast();
            pg_sys::error_context_stack = &raw mut inner.callback;
        }
        Self { inner }
    }

    /// The code to report where pgrx says `known`: five characters, each packed into six bits.
    pub fn code_for(&self, known: PgSqlErrorCode) -> i32 {
        let noted = self.inner.code.load(Ordering::Relaxed);
        let unknown_to_pgrx = noted != 0 && PgSqlErrorCode::from(noted) == PgSqlErrorCode::ERRCODE_INTERNAL_ERROR;
        if known == PgSqlErrorCode::ERRCODE_INTERNAL_ERROR && unknown_to_pgrx { noted } else { known as i32 }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // SAFETY: main thread; puts back what `begin` found.
        unsafe { pg_sys::error_context_stack = self.inner.callback.previous };
    }
}

unsafe extern "C-unwind" fn note(code: *mut c_void) {
    // SAFETY: the argument is the number of a listener that lives; Postgres is raising an error or a notice.
    unsafe { (*code.cast::<AtomicI32>()).store(geterrcode(), Ordering::Relaxed) };
}

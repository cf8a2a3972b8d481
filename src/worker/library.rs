//! The file that this code was loaded from, for Postgres to start background workers with.

#![allow(unsafe_code, reason = "asks the dynamic linker")]

use std::ffi::CStr;

/// What Postgres has room for (`BGW_MAXLEN`, less its end), before version 17.
const LONGEST: usize = 95;

/// The library's path, or where that does not fit its name, which is then looked up as usual.
///
/// The name alone would not do for a library that was preloaded from outside of Postgres' own directory.
pub fn path() -> String {
    from_the_linker().filter(|path| path.len() <= LONGEST).unwrap_or_else(|| "pg_edge".to_owned())
}

fn from_the_linker() -> Option<String> {
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    let here = path as *const () as *const libc::c_void;
    // SAFETY: the address is that of a function of ours, and the out-pointer a live local.
    let found = unsafe { libc::dladdr(here, &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the linker's own string, which lives as long as the library.
    let file = unsafe { CStr::from_ptr(info.dli_fname) }.to_str().ok()?;
    file.starts_with('/').then(|| file.to_owned())
}

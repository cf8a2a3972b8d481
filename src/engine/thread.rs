//! The one engine thread and its signal mask. [`spawn_masked`] is called on the main thread.
//!
//! Postgres handles signals on the main thread only. A SIGTERM, SIGUSR1 or SIGALRM that the kernel hands to another
//! thread would run Postgres's handler there, and that crashes the whole cluster. So every signal is blocked while
//! the thread is spawned: it inherits the full mask, and so do the threads that tokio starts from it for name
//! resolution. The mask of the main thread is then put back.

use std::io;
use std::thread::JoinHandle;

/// What `ps -L` shows. The kernel keeps 15 bytes.
const NAME: &str = "pg_edge engine";

/// Puts the signal mask back when it goes out of scope, whatever happened in between.
struct MaskGuard {
    before: libc::sigset_t,
}

/// Why there is no thread.
pub(super) enum SpawnError {
    Mask(io::Error),
    Spawn(io::Error),
}

/// Runs `body` on a new thread in which all signals are blocked.
#[allow(clippy::disallowed_methods)] // This is the one place that starts a thread.
pub(super) fn spawn_masked(body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, SpawnError> {
    let _guard = MaskGuard::block_all().map_err(SpawnError::Mask)?;
    std::thread::Builder::new().name(NAME.to_owned()).spawn(body).map_err(SpawnError::Spawn)
}

// === impl MaskGuard ===

impl MaskGuard {
    #[allow(unsafe_code)]
    fn block_all() -> io::Result<Self> {
        // SAFETY: sigset_t is a plain bit set for which all zeros is a value. Both pointers are to live locals of the
        // right type, and sigfillset cannot fail on a valid pointer. pthread_sigmask only changes the mask of this thread.
        let (result, before) = unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            (libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before), before)
        };
        if result == 0 { Ok(Self { before }) } else { Err(io::Error::from_raw_os_error(result)) }
    }
}

impl Drop for MaskGuard {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: `before` was filled in by pthread_sigmask, and the old mask is not asked for. It can only fail on an
        // invalid first argument, which this is not.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}

//! No signal is handled on a thread of the engine.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::peer::Peer;
use super::sender::{Sender, get, numbered};

static HANDLED: AtomicUsize = AtomicUsize::new(0);
/// The thread of the engine that handled a signal, which must stay 0.
static WRONG_THREAD: AtomicI32 = AtomicI32::new(0);
static ENGINE: AtomicI32 = AtomicI32::new(0);

#[allow(unsafe_code)]
extern "C" fn note_thread(_signal: libc::c_int) {
    // SAFETY: gettid has no preconditions and may be called in a signal handler.
    let thread = unsafe { libc::gettid() };
    HANDLED.fetch_add(1, Ordering::SeqCst);
    if thread == ENGINE.load(Ordering::SeqCst) {
        WRONG_THREAD.store(thread, Ordering::SeqCst);
    }
}

#[allow(unsafe_code)]
fn handle(signal: libc::c_int) {
    // SAFETY: the handler only touches atomics and calls gettid, which signal handlers may.
    let before = unsafe { libc::signal(signal, note_thread as *const () as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR);
}

#[allow(unsafe_code)]
fn signal_thread(thread: i32, signal: libc::c_int) {
    // SAFETY: tgkill only takes numbers; a handler is installed for the signal, or it is blocked in that thread.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
    assert_eq!(result, 0);
}

#[test]
fn signals_sent_to_the_engine_thread_are_not_handled_there() {
    let peer = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    super::child::run("signals::signals_its_engine_thread", &peer.url(), &[]);
}

/// In a process of its own: tests beside this one start and end engines as well.
#[test]
#[ignore = "is the child process of another test"]
fn signals_its_engine_thread() {
    let (url, sender) = (super::child::given_url(), Sender::new());
    let [thread] = engine_threads()[..] else { panic!("{:?} are engines' threads", engine_threads()) };
    ENGINE.store(thread, Ordering::SeqCst);
    handle(libc::SIGUSR1);
    handle(libc::SIGTERM);
    for round in 0..1_000 {
        for signal in [libc::SIGUSR1, libc::SIGTERM] {
            signal_thread(thread, signal);
        }
        if round % 100 == 0 {
            sender.response(numbered(round, get(&url)));
        }
    }
    signal_thread(own_thread(), libc::SIGUSR1);
    assert!(HANDLED.load(Ordering::SeqCst) > 0, "the handler works");
    assert_eq!(WRONG_THREAD.load(Ordering::SeqCst), 0);
}

#[test]
fn every_signal_is_blocked_in_the_engine_and_none_is_left_blocked_in_the_caller() {
    let before = blocked("thread-self");
    let sender = Sender::new();
    assert_eq!(blocked("thread-self"), before);
    // A name makes tokio start a thread for getaddrinfo, which must be masked as well.
    let mut url = Peer::silent().url();
    url.set_host(Some("localhost")).unwrap();
    sender.engine.send(get(&url));
    super::sender::eventually("the engine thread runs with its mask", || {
        let engines = engine_threads();
        // Bits 9 and 19, SIGKILL and SIGSTOP, cannot be blocked; the two real-time signals of glibc are its own.
        !engines.is_empty() && engines.iter().all(|id| blocked(&format!("self/task/{id}")) & 0x7fff_ffff == 0x7ffb_feff)
    });
}

/// The ids of the threads named after the engine.
fn engine_threads() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let is_engine = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "pg_edge engine")
    };
    tasks.filter(is_engine).map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap()).collect()
}

/// The mask of blocked signals of a thread, by its path under /proc. All ones for one that has ended.
fn blocked(thread: &str) -> u64 {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{thread}/status")) else { return 0x7ffb_feff };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

#[allow(unsafe_code)]
fn own_thread() -> i32 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::gettid() }
}

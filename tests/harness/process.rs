//! Looking at processes and sending them signals.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::Pid;

pub use nix::sys::signal::Signal;

/// Sends a signal. A process that is gone already is no error: it raced to its end.
pub fn send(pid: i32, signal: Signal) {
    match signal::kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("cannot send {signal} to process {pid}: {error}"),
    }
}

/// Whether the process runs. One that has ended but was not waited for does not: whoever took over the orphans of
/// a killed server may never do that.
pub fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Whether the process does nothing, by a SIGSTOP that has reached it.
pub fn is_stopped(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.state == 'T')
}

/// The processes whose parent is `pid`.
pub fn children(pid: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("/proc can be read").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&child| stat(child).is_some_and(|stat| stat.parent == pid)).collect()
}

/// The memory a process holds, in KiB.
pub fn resident_kib(pid: i32) -> u64 {
    resident_kib_while_alive(pid).expect("the process lives")
}

/// The same of one that may end at any time.
pub fn resident_kib_while_alive(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // What is ending has no memory any more, and Linux no line for it.
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse().expect("VmRSS is a number of kB"))
}

/// The processor's time that a process has used so far, its threads' together.
#[allow(unsafe_code, reason = "no crate of ours wraps these calls")]
pub fn cpu_time(pid: i32) -> Duration {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: each call writes into the one variable that it is given, which is ours.
    let found =
        unsafe { libc::clock_getcpuclockid(pid, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0 };
    assert!(found, "process {pid} has no clock: {}", Errno::last());
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.expect("time is not negative"), nanos.expect("a part of a second"))
}

/// The ids of a process' threads, the main thread first.
pub fn threads(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives").flatten();
    let mut threads: Vec<i32> = tasks.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    threads.sort_by_key(|&thread| (thread != pid, thread));
    threads
}

/// Sends a signal to one thread of a process, as `tgkill(2)` does. One that is gone already is no error.
#[allow(unsafe_code, reason = "no crate wraps this call")]
pub fn send_to_thread(pid: i32, thread: i32, signal: Signal) {
    // SAFETY: takes three numbers and touches no memory of this process.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid, thread, signal as i32) };
    assert!(result == 0 || Errno::last() == Errno::ESRCH, "cannot signal thread {thread}: {}", Errno::last());
}

/// What `/proc` says of a thread: the rest of the line that starts with `field`.
pub fn status_field(pid: i32, thread: i32, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")).expect("the thread lives");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_else(|| panic!("Linux says {field}")).trim().to_owned()
}

struct Stat {
    state: char,
    parent: i32,
}

/// proc(5): `pid (name) state ppid …`; the name may hold anything, so the fields start after its last bracket.
fn stat(pid: i32) -> Option<Stat> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    Some(Stat { state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
}

//! How many attempts the process's file descriptors allow. Called on the main thread, before the engine starts.

/// The least that is ever granted, so that a tight limit means slow and not stuck.
const LEAST: usize = 4;

/// Raises the process's soft limit on open files to the hard one, and gives how many attempts may be in flight.
///
/// `reserve` descriptors are left for Postgres. Of the rest, half is for attempts and half for the connections that
/// stay open beside them: idle ones kept for reuse, and ones still being made that nobody waits for any more.
pub fn descriptor_budget(reserve: usize) -> usize {
    let limit = raise_limit();
    budget(limit, open_descriptors(), reserve)
}

fn budget(limit: usize, open: usize, reserve: usize) -> usize {
    (limit.saturating_sub(open).saturating_sub(reserve) / 2).max(LEAST)
}

/// The soft limit after raising it as far as the hard one allows.
#[allow(unsafe_code)]
fn raise_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit fills in the struct it is given, which is a live local of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 0;
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: setrlimit only reads the struct, and raising a soft limit takes nothing away from any other code. Neither
    // Postgres nor the engine uses select(), which is what could not stand descriptors above 1,023.
    let allowed =
        limit.rlim_cur < limit.rlim_max && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0;
    usize::try_from(if allowed { raised.rlim_cur } else { limit.rlim_cur }).unwrap_or(usize::MAX)
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::{LEAST, budget};

    #[test]
    fn half_of_what_the_reserve_leaves_is_for_attempts() {
        assert_eq!(budget(1_024, 24, 200), 400);
    }

    #[test]
    fn a_limit_below_the_reserve_still_lets_a_few_through() {
        assert_eq!(budget(64, 40, 200), LEAST);
    }
}

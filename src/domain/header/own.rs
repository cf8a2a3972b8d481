//! The headers that only pg_edge sets, and what it listens for in answers. Functions rely on these names.

/// In requests: which try of its call this is.
pub const ATTEMPT: &str = "x-edge-attempt";

/// In deliveries of a job: its id.
pub const JOB: &str = "x-edge-job";

/// In deliveries of a job: what its function reports with.
pub const TOKEN: &str = "x-edge-token";

/// In deliveries of a job: until when it may be reported on.
pub const DEADLINE: &str = "x-edge-deadline";

/// In deliveries of a job: how far an earlier one has come.
pub const PROGRESS: &str = "x-edge-progress";

/// In answers: the function has accepted its job, where status and body are somebody else's.
pub const ACCEPTED: &str = "x-edge-accepted";

/// Those of requests. No user gives one of them.
pub const OF_REQUESTS: [&str; 5] = [ATTEMPT, DEADLINE, JOB, PROGRESS, TOKEN];

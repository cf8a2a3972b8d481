//! What a schedule means, in English.

use super::Schedule;

/// A sentence.
pub fn describe(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Cron(_) => "a cron expression".to_owned(),
        Schedule::Every(grid) => format!("every {} seconds", grid.seconds()),
        Schedule::At(_) => "once".to_owned(),
        Schedule::Reboot => "when the server has started".to_owned(),
    }
}

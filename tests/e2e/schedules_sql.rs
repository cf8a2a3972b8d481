//! Schedules as SQL makes, shows and steers them. That they run in time is tested elsewhere.

mod dump;
mod making;
mod requests;
mod roles;
mod steering;
mod zones;

use crate::harness::Db;

/// The one value of a schedule's row in `edge.schedules`, as text.
async fn shown(db: &Db, name: &str, column: &str) -> Option<String> {
    db.one(&format!("select ({column})::text from edge.schedules where name = '{name}'")).await
}

//! A schedule's row, as a superuser writes it, and what can be asked about its runs.

use std::collections::BTreeMap;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{Db, eventually};
use crate::scene::{Scene, ended};

/// A row of `edge_store.schedule`, column by column in SQL.
pub struct Job {
    columns: BTreeMap<&'static str, String>,
}

impl Job {
    /// Calls a URL, from now on.
    pub fn new(name: &str, schedule: &str, url: &str) -> Self {
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let columns = [
            ("id", "nextval('edge_store.schedule_id')".to_owned()),
            ("owner", "current_user::regrole".to_owned()),
            ("name", text(name)),
            ("kind", "'h'".to_owned()),
            ("schedule", text(schedule)),
            ("timezone", "'UTC'".to_owned()),
            ("dst", "'vixie'".to_owned()),
            ("overlap", "'allow'".to_owned()),
            ("catchup", "'one'".to_owned()),
            ("catchup_window", "'1 day'".to_owned()),
            ("active", "true".to_owned()),
            ("method", "'GET'".to_owned()),
            ("url", text(url)),
            ("passed", "clock_timestamp()".to_owned()),
            // Due at once: the dispatcher finds out what comes next.
            ("next_run_at", "clock_timestamp()".to_owned()),
            ("due_at", "clock_timestamp()".to_owned()),
            ("created_at", "clock_timestamp()".to_owned()),
            ("updated_at", "clock_timestamp()".to_owned()),
        ];
        Self { columns: columns.into() }
    }

    /// Calls a URL every hour, for the next time in half an hour, and for the latest half an hour ago: whatever the time of
    /// day, no slot comes while a test looks.
    pub fn hourly(name: &str, url: &str) -> Self {
        Self::new(name, "every 1 hour", url).with("starts_at", "clock_timestamp() - interval '100 hours 30 minutes'")
    }

    /// The same with an SQL expression in a column.
    #[must_use]
    pub fn with(mut self, column: &'static str, expression: &str) -> Self {
        self.columns.insert(column, expression.to_owned());
        self
    }

    /// Writes the row, and gives its id.
    pub async fn write(&self, db: &Db) -> i64 {
        let names = self.columns.keys().copied().collect::<Vec<_>>().join(", ");
        let values = self.columns.values().cloned().collect::<Vec<_>>().join(", ");
        db.one(&format!("insert into edge_store.schedule ({names}) values ({values}) returning id")).await
    }

    /// Writes the row and has the dispatcher look at it.
    pub async fn start(&self, db: &Db) -> i64 {
        let id = self.write(db).await;
        tell(db).await;
        id
    }
}

/// A scene whose dispatcher is at work: what is started from now on does not have to wait for a process to start.
pub async fn at_work() -> Scene {
    let scene = Scene::start().await;
    let up = scene.get("/up").await;
    ended(&scene.db, up).await;
    scene
}

/// Has the dispatcher look at the schedules, as every function of theirs does.
pub async fn tell(db: &Db) {
    db.exec("select pg_reload_conf()").await;
}

/// How many runs of a schedule are in one of these states.
pub async fn runs(db: &Db, schedule: i64, states: &str) -> i64 {
    db.one(&format!(
        "select count(*) from edge_store.schedule_run where schedule_id = {schedule} and state = any ('{{{states}}}')"
    ))
    .await
}

/// Waits until that many are.
pub async fn reaches(db: &Db, schedule: i64, states: &str, count: i64) {
    let what = format!("schedule {schedule} has {count} runs that are {states}");
    eventually(&what, SERVER_DEADLINE, || async { runs(db, schedule, states).await >= count }).await;
}

/// Waits until a query of one boolean says true.
pub async fn comes_true(db: &Db, what: &str, sql: &str) {
    eventually(what, SERVER_DEADLINE, || db.one::<bool>(sql)).await;
}

/// How many slots of a grid of so many seconds between the first and the last run have no row.
pub const GAPS: &str = "
    select (extract(epoch from max(scheduled_for) - min(scheduled_for)) / $2)::bigint + 1 - sum(slots)::bigint
    from edge_store.schedule_run where schedule_id = $1";

/// The same of a grid of seconds.
pub async fn gaps(db: &Db, schedule: i64) -> i64 {
    db.one(&GAPS.replace("$1", &schedule.to_string()).replace("$2", "1")).await
}

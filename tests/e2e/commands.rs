//! Schedules whose target is SQL: the command is run by a process of its own, as in a session of its owner's.

mod begin;
mod changes;
mod ends;
mod identity;
mod locked;
mod processes;
mod sessions;
mod settings;

use crate::harness::cluster::SERVER_DEADLINE;
use crate::harness::{ClusterBuilder, Db, eventually};
use crate::scene::Scene;

/// Runs for as long as a session of the test's own holds the lock.
pub const WAITS: &str = "select pg_advisory_lock_shared(7); select pg_advisory_unlock_shared(7)";

/// A cluster with schedules whose runs a test makes due as it likes.
pub struct World {
    pub scene: Scene,
}

/// What became of a run: state, rows, SQLSTATE and error, with bars between them and nothing for null.
const END: &str = "
    select concat_ws('|', state, coalesce(rows::text, ''), coalesce(sqlstate, ''), coalesce(error, ''))
    from edge_store.schedule_run where run_id = $1 and finished_at is not null";

/// The states that a run does not leave are those with `finished_at`.
const STATE: &str = "select state from edge_store.schedule_run where run_id = $1";

impl World {
    pub async fn start() -> Self {
        Self::on(crate::harness::Cluster::builder()).await
    }

    pub async fn on(builder: ClusterBuilder) -> Self {
        Self { scene: Scene::on(builder).await }
    }

    pub fn db(&self) -> &Db {
        &self.scene.db
    }

    /// Makes a schedule of a role that comes due only when the test says so.
    pub async fn schedule(&self, owner: &str, name: &str, command: &str) -> i64 {
        const MAKE: &str = "select edge.schedule($1, '0 0 1 1 *', $2)";
        self.db().exec(&format!("select edge.grant_access('{owner}'); set role {owner}")).await;
        let made = self.db().client().query_one(MAKE, &[&name, &command]).await;
        let schedule = match &made {
            Ok(row) => row.get(0),
            // What can be seen to be no SQL is refused at once, so it has to come in by another way.
            Err(_) => self.db().one_with::<i64>(MAKE, &[&name, &"select 0"]).await,
        };
        self.db().exec("reset role").await;
        if made.is_err() {
            self.db()
                .rows_with("update edge_store.schedule set command = $1 where id = $2", &[&command, &schedule])
                .await;
        }
        schedule
    }

    /// Changes columns of a schedule.
    pub async fn alter(&self, schedule: i64, columns: &str) {
        self.db().exec(&format!("update edge_store.schedule set {columns} where id = {schedule}")).await;
    }

    /// Has its owner run a schedule, and gives the id of the run.
    pub async fn due(&self, schedule: i64) -> i64 {
        let sql = "select owner::text, name from edge_store.schedule where id = $1";
        let found = self.db().rows_with(sql, &[&schedule]).await;
        let (owner, name): (String, String) = (found[0].get(0), found[0].get(1));
        // Of one statement where that will do: the command may take the server down right after its commit.
        if owner == "postgres" {
            return self.db().one_with("select edge.run_now($1)", &[&name]).await;
        }
        self.db().exec(&format!("set role {owner}")).await;
        let run = self.db().one_with("select edge.run_now($1)", &[&name]).await;
        self.db().exec("reset role").await;
        run
    }

    /// Makes a run of a schedule due without telling anybody.
    pub async fn note_due(&self, schedule: i64) -> i64 {
        let sql = "
            insert into edge_store.schedule_run (schedule_id, scheduled_for, run_id, owner, name, origin, state)
            select id, clock_timestamp(), nextval('edge_store.run_id'), owner, name, 't', 'waiting'
            from edge_store.schedule where id = $1
            returning run_id";
        self.db().one_with(sql, &[&schedule]).await
    }

    /// Has the dispatcher look.
    pub async fn wake(&self) {
        self.db().exec("select edge.pause(); select edge.resume()").await;
    }

    /// Makes a superuser's command due, and gives how it ended.
    pub async fn run(&self, name: &str, command: &str) -> String {
        let schedule = self.schedule("postgres", name, command).await;
        let run = self.due(schedule).await;
        self.end(run).await
    }

    /// How a run ended.
    pub async fn end(&self, run: i64) -> String {
        let what = format!("run {run} has ended");
        eventually(&what, SERVER_DEADLINE, || async {
            self.db().rows_with(END, &[&run]).await.first().map(|row| row.get::<_, String>(0))
        })
        .await
    }

    /// Waits until a run is in a state.
    pub async fn reaches(&self, run: i64, state: &str) {
        let what = format!("run {run} is {state}");
        eventually(&what, SERVER_DEADLINE, || async { self.db().one_with::<String>(STATE, &[&run]).await == state })
            .await;
    }

    /// Asks for the end of a run.
    pub async fn cancel(&self, run: i64) {
        self.db().exec(&format!("update edge_store.schedule_run set cancel_asked = true where run_id = {run}")).await;
        self.wake().await;
    }

    /// Waits until one command sleeps, which is to say that it is being run.
    pub async fn sleeps(&self) {
        let sql =
            "select count(*) from pg_stat_activity where backend_type = 'pg_edge command' and wait_event = 'PgSleep'";
        eventually("a command sleeps", SERVER_DEADLINE, || async { self.db().one::<i64>(sql).await == 1 }).await;
    }

    /// The processes that run commands now.
    pub async fn processes(&self) -> Vec<i32> {
        self.db().column("select pid from pg_stat_activity where backend_type = 'pg_edge command'").await
    }
}

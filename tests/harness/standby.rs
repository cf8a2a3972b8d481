//! Physical standbys: made, caught up and promoted.

use std::fs;

use super::cluster::{Cluster, SERVER_DEADLINE};
use super::wait::eventually;
use super::{programs, run_dir};

impl Cluster {
    /// A second cluster that follows this one by streaming replication and answers read-only queries.
    pub fn basebackup_standby(&self) -> Self {
        let dir = run_dir::next_cluster();
        run_dir::make_dir(&dir);
        let mut backup = programs::server_program("pg_basebackup");
        backup.arg("--host").arg(self.socket_dir()).arg("--pgdata").arg(dir.join("data"));
        backup.args(["--username=postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        programs::run(&mut backup);
        // A failpoint armed on the primary is no file of the database, but a base backup takes it along.
        let _ = fs::remove_file(dir.join("data/pg_edge_failpoint"));
        let mut standby = Self::at(dir, self.settings().to_vec());
        standby.start_again();
        standby
    }

    /// Ends the standby's recovery; returns when it takes writes. The primary is not touched: stop it first.
    pub fn promote(&mut self) {
        self.pg_ctl(&["promote", "--wait"]);
    }

    /// Waits until this standby has replayed all that the primary has written by now.
    pub async fn catch_up_with(&self, primary: &Self) {
        let written: String = primary.connect().await.one("select pg_current_wal_lsn()::text").await;
        let standby = self.connect().await;
        let sql = format!("select coalesce(pg_last_wal_replay_lsn() >= '{written}', false)");
        eventually("the standby has replayed what the primary wrote", SERVER_DEADLINE, || standby.one::<bool>(&sql))
            .await;
    }
}

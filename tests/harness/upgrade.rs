//! What becomes of a cluster in `pg_upgrade`. It is the same version afterwards, and for `pg_upgrade` that makes no difference:
//! the catalogues are made anew, and the files of tables taken over.

use std::fs;

use super::cluster::{Cluster, Stop};
use super::{builder, programs, run_dir, template};

impl Cluster {
    /// Stops the server, has `pg_upgrade` make a new cluster of its data, and starts that in its place.
    pub fn pg_upgrade(&mut self) {
        self.stop(Stop::Fast);
        let aside = run_dir::next_cluster();
        run_dir::make_dir(&aside);
        let (new, old) = (aside.join("data"), aside.join("old"));
        template::copy_to(&new);
        builder::write_settings(&aside, self.settings());
        let mut upgrade = programs::server_program("pg_upgrade");
        upgrade.current_dir(&aside).arg("--old-datadir").arg(self.data_dir()).arg("--new-datadir").arg(&new);
        upgrade.arg("--old-bindir").arg(programs::bindir()).arg("--new-bindir").arg(programs::bindir());
        upgrade.arg("--socketdir").arg(&aside).arg("--username=postgres");
        programs::run(&mut upgrade);
        fs::rename(self.data_dir(), old).expect("a directory can be renamed");
        fs::rename(new, self.data_dir()).expect("a directory can be renamed");
        fs::remove_dir_all(aside).expect("a directory can be removed");
        builder::write_settings(self.socket_dir(), self.settings());
        self.start_again();
    }
}

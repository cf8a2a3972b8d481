//! What a cluster is told before it starts: its settings, and whether it has the extension.

use std::fs;
use std::path::Path;

use super::cluster::Cluster;
use super::{extension, run_dir, template};

const PRELOADED: &str = "shared_preload_libraries";

/// What a cluster is to be like before it starts.
#[derive(Default)]
pub struct ClusterBuilder {
    settings: Vec<(String, String)>,
    libraries: Vec<String>,
    bare: bool,
    open_files: Option<u32>,
    own_clock: bool,
}

impl ClusterBuilder {
    /// One more line of postgresql.conf; a later line of the same name wins.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another extension's library that the server loads when it starts, beside ours.
    #[must_use]
    pub fn preload(mut self, library: &str) -> Self {
        self.libraries.push(library.to_owned());
        self
    }

    /// Writes go to the disk as in production. Without it they stop at the kernel, which outlives every crash
    /// of Postgres itself.
    #[must_use]
    pub fn durable(self) -> Self {
        self.setting("fsync", "on")
    }

    /// Leaves the extension out.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// No process of the server may have more files open than this.
    #[must_use]
    pub fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// The server's clock can be set, without anybody else's being touched.
    #[must_use]
    pub fn own_clock(mut self) -> Self {
        self.own_clock = true;
        self
    }

    /// Makes the cluster and starts it.
    pub fn start(self) -> Cluster {
        let mut settings: Vec<(String, String)> = Vec::new();
        if !self.bare {
            settings.extend_from_slice(extension::settings());
            // The peers of tests listen on loopback addresses, which are refused by default.
            settings.push(("pg_edge.allowed_networks".to_owned(), "127.0.0.0/8, ::1/128".to_owned()));
        }
        if !self.libraries.is_empty() {
            let ours = settings.iter().filter(|(name, _)| name == PRELOADED).map(|(_, value)| value.clone());
            let all: Vec<String> = ours.chain(self.libraries).collect();
            settings.push((PRELOADED.to_owned(), all.join(",")));
        }
        settings.extend(self.settings);
        let dir = run_dir::next_cluster();
        run_dir::make_dir(&dir);
        template::copy_to(&dir.join("data"));
        let mut cluster = Cluster::at(dir, settings);
        cluster.limit_open_files(self.open_files);
        if self.own_clock {
            cluster.have_own_clock();
        }
        cluster.start_again();
        cluster
    }
}

/// Writes the harness' settings, then the cluster's own, which win.
pub fn write_settings(dir: &Path, own: &[(String, String)]) {
    let socket_dir = dir.to_string_lossy();
    let fixed = [
        ("listen_addresses", ""),
        ("unix_socket_directories", &socket_dir),
        ("fsync", "off"),
        ("shared_buffers", "32MB"),
        ("max_worker_processes", "32"),
        ("max_prepared_transactions", "10"),
        ("log_min_messages", "info"),
        ("log_line_prefix", "%m [%p] %b %d: "),
    ];
    let own = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let lines = fixed.into_iter().chain(own).map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")));
    let file = dir.join("data").join(template::SETTINGS_FILE);
    fs::write(&file, lines.collect::<String>()).expect("the data directory can be written");
    run_dir::give_to_server(&file);
}

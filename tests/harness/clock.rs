//! A clock that a test sets for one server alone: a library preloaded into the server's processes, and a file that says how far
//! their clock is off. The peers and the test keep the machine's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::{programs, run_dir};

/// The clock of a server.
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// A clock that is right, for the cluster in this directory.
    pub(super) fn of(dir: &Path) -> Self {
        let clock = Self { file: dir.join("clock") };
        fs::write(&clock.file, 0_i64.to_ne_bytes()).expect("the cluster's directory can be written");
        run_dir::give_to_server(&clock.file);
        clock
    }

    /// What the server's processes have to find in their environment.
    pub(super) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", library().to_owned()), ("CLOCK_SHIM_FILE", self.file.clone())]
    }

    /// Sets the clock forward, all at once.
    pub fn step_forward(&self, by: Duration) {
        self.step(i64::try_from(by.as_micros()).expect("a short step"));
    }

    /// Sets it back.
    pub fn step_back(&self, by: Duration) {
        self.step(-i64::try_from(by.as_micros()).expect("a short step"));
    }

    fn step(&self, micros: i64) {
        let bytes = fs::read(&self.file).expect("the clock's file can be read");
        let off = i64::from_ne_bytes(bytes.try_into().expect("it has eight bytes"));
        // Over what is there: the processes have the file mapped. Eight bytes on their boundary arrive whole.
        let file = fs::OpenOptions::new().write(true).open(&self.file).expect("the clock's file can be written");
        std::os::unix::fs::FileExt::write_all_at(&file, &(off + micros).to_ne_bytes(), 0)
            .expect("eight bytes are written");
    }
}

/// The library, compiled once a run.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = run_dir::path().join("clock_shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/clock_shim.c");
        let mut cc = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        programs::run(cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source));
        library
    })
}

//! The programs a sweep needs, and the files it reads and writes. The one place here that touches
//! the disk and the clock.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Options;

/// Programs and places.
pub(super) struct Tools {
    /// `conformance/oracle`.
    home: PathBuf,
}

impl Tools {
    /// Looks for what the sweep needs.
    pub(super) fn find(options: &Options) -> Result<Self, String> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle");
        let needed = [
            ("java", "-version", "Java 17 or later runs Kafka Streams, which Millstream is compared with"),
            ("mvn", "-version", "Maven fetches Kafka Streams and builds its runner"),
            ("python3", "--version", "Python 3 runs the generator of cases (not needed with --cases or --recorded)"),
        ];
        let missing: Vec<String> = needed
            .into_iter()
            .filter(|_| !options.is_self_sufficient())
            .filter(|(program, ..)| *program != "python3" || options.generates())
            .filter(|(program, argument, _)| !is_there(program, argument))
            .map(|(program, _, why)| format!("{program} is missing: {why}"))
            .collect();
        if missing.is_empty() { Ok(Self { home }) } else { Err(missing.join("\n")) }
    }

    /// Builds Kafka Streams' runner, unless it is newer than its sources.
    pub(super) fn build_oracle(&self) -> Result<(), String> {
        let newest = |paths: &[PathBuf]| paths.iter().filter_map(|path| modified(path)).max();
        let mut sources = files(&self.home.join("src/main/java/oracle"));
        sources.push(self.home.join("pom.xml"));
        let built = modified(&self.home.join("target/built"));
        if built.is_some() && built > newest(&sources) {
            return Ok(());
        }
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-Dstyle.color=never", "package", "-f"]).arg(self.home.join("pom.xml"));
        let status = maven.status().map_err(|error| format!("mvn does not start: {error}"))?;
        if !status.success() {
            return Err("mvn could not build Kafka Streams' runner (conformance/oracle)".to_owned());
        }
        self.write("built", "")
    }

    /// Kafka Streams' runner, which reads cases and writes results.
    pub(super) fn oracle(&self) -> Command {
        let mut java = Command::new("java");
        let classes = self.home.join("target/classes");
        let libraries = self.home.join("target/libs/*");
        let separator = if cfg!(windows) { ";" } else { ":" };
        java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g"]);
        // Its stores are on disk, however short they live.
        if Path::new("/dev/shm").is_dir() {
            java.arg("-Djava.io.tmpdir=/dev/shm");
        }
        let path: OsString = [classes.as_os_str(), separator.as_ref(), libraries.as_os_str()].into_iter().collect();
        java.arg("-cp").arg(path).arg("oracle.Main").stderr(Stdio::null());
        java
    }

    /// The generator of cases.
    pub(super) fn generator(&self) -> Command {
        let mut python = Command::new("python3");
        python.arg(self.home.join("generate.py"));
        python
    }

    /// Writes a file into the runner's build directory; gives nothing but trouble back.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.place(name);
        #[expect(clippy::disallowed_methods, reason = "the home of this tool's file access")]
        std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Where [`write`](Self::write) puts a file.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.home.join("target").join(name)
    }
}

fn is_there(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[expect(clippy::disallowed_methods, reason = "the home of this tool's file access")]
fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

#[expect(clippy::disallowed_methods, reason = "the home of this tool's file access")]
fn files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Reads a file of cases.
#[expect(clippy::disallowed_methods, reason = "the home of this tool's file access")]
pub(super) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Runs something and says how long it took.
#[expect(clippy::disallowed_methods, reason = "the home of this tool's clock")]
pub(super) fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let value = run();
    (value, start.elapsed())
}

//! `bench/java`: Kafka Streams' side and the drivers, built by Maven.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::Value;

/// Bytes of heap of the application under test, as `WORKLOADS` of the figures known before.
const HEAP: &str = "-Xmx1g";

/// The programs, built.
pub(super) struct Java {
    class_path: String,
}

impl Java {
    /// Builds them, unless they are newer than their sources.
    pub(super) fn build() -> Result<Self, String> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("java");
        let needed =
            [("java", "Java 17 or later runs Kafka and Kafka Streams"), ("mvn", "Maven fetches and builds them")];
        let missing: Vec<String> = needed
            .iter()
            .filter(|(program, _)| !is_there(program))
            .map(|(program, why)| format!("{program} is missing: {why}; it must be found in PATH"))
            .collect();
        if !missing.is_empty() {
            return Err(missing.join("\n"));
        }
        let jar = home.join("target/java-streams-1.jar");
        let mut sources = vec![home.join("pom.xml")];
        let folder = std::fs::read_dir(home.join("src/main/java/bench"));
        sources.extend(folder.into_iter().flatten().flatten().map(|entry| entry.path()));
        let newest = sources.iter().filter_map(modified).max();
        if modified(&jar).is_none() || modified(&jar) < newest {
            let status = Command::new("mvn")
                .args(["-q", "-B", "-Dstyle.color=never", "package", "-f"])
                .arg(home.join("pom.xml"))
                .status()
                .map_err(|error| format!("mvn does not start: {error}"))?;
            if !status.success() {
                return Err("mvn could not build bench/java".to_owned());
            }
        }
        Ok(Self { class_path: format!("{}:{}/*", jar.display(), home.join("target/libs").display()) })
    }

    /// The command that runs one of the programs.
    pub(super) fn command(&self, program: &str, given: &[&str]) -> Vec<String> {
        let fixed =
            ["java", HEAP, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", &self.class_path, "bench.Main"];
        fixed.iter().chain(&[program]).chain(given).map(ToString::to_string).collect()
    }
}

/// Runs a program to its end. Gives the last line it printed, which is JSON, or nothing.
pub(super) fn run(command: &[String]) -> Result<Value, String> {
    let (program, given) = command.split_first().ok_or("no command")?;
    let output = Command::new(program)
        .args(given)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{program} does not start: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let last = printed.lines().rev().find(|line| line.starts_with('{')).unwrap_or("null");
    let value = serde_json::from_str(last).map_err(|error| format!("{}: {last:?}: {error}", command.join(" ")))?;
    if output.status.success() { Ok(value) } else { Err(format!("{} ended with {}", command.join(" "), output.status)) }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn modified(path: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

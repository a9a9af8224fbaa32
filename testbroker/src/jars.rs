//! What a broker of some version is made of: its jars, and a formatted folder to copy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millstream</groupId><artifactId>testbroker</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>VERSION</version>
      <exclusions><exclusion><groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId></exclusion></exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>VERSION</version>
      <exclusions><exclusion><groupId>org.slf4j</groupId><artifactId>slf4j-reload4j</artifactId></exclusion></exclusions>
    </dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"#;

/// The oldest Java that Kafka 4 runs on.
const JAVA_MIN: u32 = 17;

/// Files of one version below cargo's target directory, fetched once for all processes.
#[derive(Clone, Debug)]
pub(crate) struct Jars {
    home: PathBuf,
}

impl Jars {
    /// Fetches the jars, unless they are there.
    ///
    /// # Errors
    /// What is missing, in words for people.
    pub(crate) fn of(version: &str) -> Result<Self, String> {
        check_programs()?;
        if version.is_empty() || !version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-') {
            return Err(format!("{version:?} is no version of Kafka"));
        }
        let jars = Self { home: home().join(version) };
        if jars.libraries().is_dir() {
            return Ok(jars);
        }
        create(&jars.home)?;
        let _lock = jars.lock()?;
        if !jars.libraries().is_dir() {
            check_java()?;
            jars.fetch(version)?;
        }
        Ok(jars)
    }

    fn libraries(&self) -> PathBuf {
        self.home.join("libs")
    }

    /// Keeps other processes out until it is dropped.
    fn lock(&self) -> Result<File, String> {
        let path = self.home.join("lock");
        let lock = File::create(&path).map_err(|error| cannot("create", &path, &error))?;
        lock.lock().map_err(|error| cannot("lock", &path, &error))?;
        Ok(lock)
    }

    fn fetch(&self, version: &str) -> Result<(), String> {
        let pom = self.home.join("pom.xml");
        write(&pom, &POM.replace("VERSION", version))?;
        let folder = self.home.join("fetched");
        let output = Command::new("mvn")
            .args(["-q", "-B", "-Dstyle.color=never", "-f"])
            .arg(&pom)
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", folder.display()))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("mvn does not start: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout);
            return Err(format!("Maven cannot fetch Kafka {version}:\n{}", said.trim()));
        }
        // All or nothing: who finds the folder finds every jar.
        fs::rename(&folder, self.libraries()).map_err(|error| cannot("rename", &folder, &error))
    }

    /// The command that runs a Java class with these jars.
    pub(crate) fn java(&self, options: &[&str], class: &str) -> Vec<String> {
        // Compiled once and quickly: a test ends before the second compiler has paid for itself.
        let fixed = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
        let all: Vec<&str> = fixed.iter().chain(options).copied().collect();
        self.java_as_it_is(&all, class)
    }

    /// The same with the JVM's own choices.
    pub(crate) fn java_as_it_is(&self, options: &[&str], class: &str) -> Vec<String> {
        let path = format!("{}/*", self.libraries().display());
        let program = ["java"].iter().chain(options).map(ToString::to_string);
        program.chain(["-cp".to_owned(), path, class.to_owned()]).collect()
    }

    /// Runs a Java class to its end. What it printed, or why it failed.
    pub(crate) fn run(&self, class: &str, arguments: &[&str]) -> Result<String, String> {
        let java = self.java(&["-Xmx200m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"], class);
        let (program, before) = java.split_first().ok_or("no command")?;
        let output = Command::new(program)
            .args(before)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("java does not start: {error}"))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{class} ended with {}:\n{printed}{errors}", output.status))
    }

    /// Puts into `folder` what a freshly formatted one holds. Formatting takes a Java process of seconds, so
    /// it is done once and copied; only the names of broker and cluster differ.
    pub(crate) fn format(&self, folder: &Path, node: usize, cluster: &str, config: &Path) -> Result<(), String> {
        let formatted = self.home.join("formatted");
        if !formatted.is_dir() {
            let _lock = self.lock()?;
            if !formatted.is_dir() {
                self.make_formatted(&formatted, config)?;
            }
        }
        copy(&formatted, folder)?;
        let directory = format!("directory{node:0>12}A");
        let properties = format!("version=1\ncluster.id={cluster}\nnode.id={node}\ndirectory.id={directory}\n");
        write(&folder.join("meta.properties"), &properties)
    }

    fn make_formatted(&self, target: &Path, config: &Path) -> Result<(), String> {
        let folder = self.home.join("formatting");
        let _ = fs::remove_dir_all(&folder);
        let text = fs::read_to_string(config).map_err(|error| cannot("read", config, &error))?;
        let other = self.home.join("formatting.properties");
        write(&other, &format!("{text}\nlog.dirs={}\n", folder.display()))?;
        let other = other.display().to_string();
        self.run("kafka.tools.StorageTool", &["format", "-t", "testbroker00000000000A", "-c", &other])?;
        fs::rename(&folder, target).map_err(|error| cannot("rename", &folder, &error))
    }
}

/// Below cargo's target directory, which the running program lies in.
pub(crate) fn home() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    target.map_or(root, Path::to_owned).join("testbroker")
}

fn check_programs() -> Result<(), String> {
    let needed = [("java", "Java 17 or later runs Kafka's brokers"), ("mvn", "Maven fetches Kafka's jars")];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<String> = needed
        .into_iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(program, why)| format!("{program} is missing: {why}; it must be found in PATH"))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
}

/// Whether the Java that is found can run brokers. One that tells its version in another way may.
fn check_java() -> Result<(), String> {
    let told = Command::new("java").arg("-version").output().map_err(|error| format!("java cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&told.stderr);
    match java_version(&text) {
        Some(version) if version < JAVA_MIN => {
            Err(format!("java in PATH is Java {version}: Kafka's brokers need Java {JAVA_MIN} or later"))
        }
        _ => Ok(()),
    }
}

/// From `openjdk version "17.0.15" 2025-04-15`, or `java version "1.8.0_402"`.
fn java_version(text: &str) -> Option<u32> {
    let mut numbers = text.split('"').nth(1)?.split(['.', '-', '_', '+']);
    match numbers.next()?.parse() {
        Ok(1) => numbers.next()?.parse().ok(),
        first => first.ok(),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    create(to)?;
    for entry in fs::read_dir(from).map_err(|error| cannot("read", from, &error))?.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(|error| cannot("copy", &source, &error))?;
        }
    }
    Ok(())
}

pub(crate) fn create(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| cannot("create", folder, &error))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_version_is_read() {
        for (text, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment", Some(17)),
            ("java version \"1.8.0_402\"", Some(8)),
            ("openjdk version \"24-ea\" 2025-03-18", Some(24)),
            ("no such thing", None),
        ] {
            assert_eq!(java_version(text), version, "{text}");
        }
    }
}

//! Brokers that run on after the command that started them; their folder tells who they are.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::broker::{Broker, Common, StartError};
use crate::cluster::Builder;
use crate::{jars, wait};

/// Brokers that were asked to stop are killed after this.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Where brokers lie when no folder is named.
fn default_folder() -> PathBuf {
    jars::home().join("cluster")
}

/// Starts brokers that outlive this process. With `folder`, data that is there is kept; otherwise every start
/// begins with empty ones. The addresses.
///
/// # Errors
/// As [`Builder::start`]; also when brokers of this folder run already.
pub fn start_detached(builder: &Builder, folder: Option<&Path>) -> Result<String, String> {
    let is_kept = folder.is_some();
    let folder = folder.map_or_else(default_folder, Path::to_owned);
    if let Some(bootstrap) = status(Some(&folder)) {
        return Err(format!("brokers run already: {bootstrap}"));
    }
    if !is_kept {
        // Nothing there is as good as nothing left.
        let _ = fs::remove_dir_all(&folder);
    }
    jars::create(&folder)?;
    let folder = fs::canonicalize(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let common = builder.common()?;
    let bootstrap = try_start(&common, &folder);
    if bootstrap.is_err() {
        stop_all(&folder);
    }
    bootstrap
}

fn try_start(common: &Common, folder: &Path) -> Result<String, String> {
    let mut brokers = Vec::new();
    for node in 1..=common.ports.len() {
        let place = folder.join(format!("broker-{node}"));
        let broker = Broker::prepare(common, node, &place)?;
        let log = broker.open_log()?;
        let errors = log.try_clone().map_err(|error| format!("the log of a broker: {error}"))?;
        let (program, arguments) = broker.command().split_first().ok_or("no command")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().map_err(|error| format!("java does not start: {error}"))?;
        jars::write(&place.join("pid"), &child.id().to_string())?;
        brokers.push((broker, child));
    }
    let count = brokers.len();
    let mut addresses = Vec::new();
    for (broker, child) in &mut brokers {
        broker.wait_with(count, |_| !matches!(child.try_wait(), Ok(None))).map_err(|error| match error {
            StartError::PortTaken => "a port of the brokers is taken by somebody else".to_owned(),
            StartError::Other(text) => text,
        })?;
        addresses.push(format!("127.0.0.1:{}", broker.port));
    }
    let bootstrap = addresses.join(",");
    jars::write(&folder.join("bootstrap"), &bootstrap)?;
    Ok(bootstrap)
}

/// The addresses of the brokers that run in this folder; `None` when none does.
pub fn status(folder: Option<&Path>) -> Option<String> {
    let folder = folder.map_or_else(default_folder, Path::to_owned);
    if running(&folder).is_empty() {
        return None;
    }
    Some(fs::read_to_string(folder.join("bootstrap")).unwrap_or_else(|_| "not up yet".to_owned()))
}

/// Stops the brokers of this folder. How many ran.
pub fn stop_detached(folder: Option<&Path>) -> usize {
    stop_all(&folder.map_or_else(default_folder, Path::to_owned))
}

fn stop_all(folder: &Path) -> usize {
    let count = running(folder).len();
    for signal in ["-TERM", "-KILL"] {
        for pid in running(folder) {
            // One that has ended meanwhile is what we want.
            let _ = Command::new("kill").args([signal, &pid]).status();
        }
        if wait::until(STOP_LIMIT, || running(folder).is_empty().then_some(())).is_some() {
            break;
        }
    }
    let _ = fs::remove_file(folder.join("bootstrap"));
    count
}

/// Process ids of the brokers that run. An id that somebody else has by now does not count.
fn running(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(pid) = fs::read_to_string(entry.path().join("pid")) else { continue };
        let shown = Command::new("ps").args(["-o", "args=", "-p", &pid]).output();
        let config = entry.path().join("server.properties").display().to_string();
        if shown.is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains(&config)) {
            found.push(pid);
        }
    }
    found
}

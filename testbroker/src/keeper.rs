//! A process that ends when we do, even when we are killed: a shell holds it and our end of a pipe.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use crate::wait;

/// Runs its arguments. A line on standard input asks them to stop (SIGTERM), its end kills them.
const KEEP: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
kept=$!
( read -r _ <&3 && { kill -TERM "$kept"; read -r _ <&3; }; kill -KILL "$kept" ) 2>/dev/null &
watcher=$!
wait "$kept"; code=$?
kill "$watcher" 2>/dev/null
exit $code
"#;

/// Removes a folder once standard input ends; those who write into it may take a moment to end.
const REMOVE: &str = r#"
while read -r _; do :; done
tries=0
until rm -rf "$1" 2>/dev/null || [ $((tries += 1)) -ge 50 ]; do sleep 0.1; done
"#;

/// A process that ends with this value, or with our process.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Keeper {
    /// Runs a program and its arguments; what it prints goes to `output`.
    pub(crate) fn run(command: &[String], output: File) -> Result<Self, String> {
        let errors = output.try_clone().map_err(|error| format!("the log of a broker: {error}"))?;
        let mut shell = Command::new("sh");
        shell.args(["-c", KEEP, "sh"]).args(command).stdout(output).stderr(errors);
        Self::start(shell)
    }

    /// Removes a folder at the end.
    pub(crate) fn remove(folder: &Path) -> Result<Self, String> {
        let mut shell = Command::new("sh");
        shell.args(["-c", REMOVE, "sh"]).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
        // An interrupt from the keyboard is for us; the folder goes after us.
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        Self::start(shell)
    }

    fn start(mut shell: Command) -> Result<Self, String> {
        let mut shell =
            shell.stdin(Stdio::piped()).spawn().map_err(|error| format!("a shell does not start: {error}"))?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// The process that is kept: the first one the shell started. Known on Linux only.
    pub(crate) fn pid(&self) -> Option<u32> {
        let shell = self.shell.id();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }

    /// Asks the process to stop, and kills it when it has not within this time. Whether it stopped.
    pub(crate) fn stop(&mut self, limit: Duration) -> bool {
        let is_asked = self.pipe.as_mut().is_some_and(|pipe| pipe.write_all(b"\n").is_ok());
        let has_stopped = is_asked && wait::until(limit, || self.has_ended().then_some(())).is_some();
        self.kill();
        has_stopped
    }

    /// Kills the process at once (SIGKILL) and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.pipe = None;
        // Nothing to do about a process that cannot be waited for.
        let _ = self.shell.wait();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.kill();
    }
}

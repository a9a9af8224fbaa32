//! Kafka Streams' side: a Java process that reads cases and writes results.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value as Json, json};

use super::tools::Tools;

/// Cases after which a new process takes over: what a driver leaves behind in a JVM adds up.
const CASES_MAX: usize = 5000;

/// A process that runs from the first case on. It starts slowly, so it serves many cases.
pub(super) struct Oracle<'a> {
    tools: &'a Tools,
    process: Option<Process>,
    served: usize,
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl<'a> Oracle<'a> {
    pub(super) fn of(tools: &'a Tools) -> Self {
        Self { tools, process: None, served: 0 }
    }

    /// Results of all these cases, in their order.
    pub(super) fn run(&mut self, cases: &[String]) -> Result<Vec<Json>, String> {
        if self.served > CASES_MAX {
            self.process = None;
        }
        let mut process = if let Some(process) = self.process.take() {
            process
        } else {
            self.served = 0;
            Process::start(self.tools)?
        };
        self.served += cases.len();
        let mut results = process.run(cases)?;
        if results.len() == cases.len() {
            self.process = Some(process);
        } else {
            // The case it died of has no result; the others get theirs from a new process.
            results.push(json!({"bad": "the oracle ended"}));
            let rest = cases.get(results.len()..).unwrap_or_default();
            results.extend(self.run(rest)?);
        }
        Ok(results)
    }
}

impl Process {
    fn start(tools: &Tools) -> Result<Self, String> {
        let mut child = tools
            .oracle()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("java does not start: {error}"))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self { child, input, output: BufReader::new(output) }),
            _ => Err("java has no standard input and output".to_owned()),
        }
    }

    /// Results of the cases up to the one the process died of.
    fn run(&mut self, cases: &[String]) -> Result<Vec<Json>, String> {
        let (input, output) = (&mut self.input, &mut self.output);
        std::thread::scope(|scope| {
            // Writing and reading at once: neither pipe may fill up while the other waits. What
            // cannot be written is seen in the results that are missing.
            scope.spawn(|| cases.iter().try_for_each(|case| writeln!(input, "{case}")).and_then(|()| input.flush()));
            let mut results = Vec::with_capacity(cases.len());
            for line in output.lines().take(cases.len()) {
                let line = line.map_err(|error| format!("a result of Kafka Streams cannot be read: {error}"))?;
                results.push(
                    serde_json::from_str(&line)
                        .map_err(|error| format!("a result of Kafka Streams: {error}: {line}"))?,
                );
            }
            Ok(results)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It holds nothing worth a graceful end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

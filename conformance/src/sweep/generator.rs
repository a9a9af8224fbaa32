//! Where cases come from: the generator, a chunk at a time, or a file.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value as Json;

use super::Options;
use super::tools::{self, Tools};

/// Cases that one worker runs at a time.
const CHUNK: u64 = 200;

/// A stretch of cases.
pub(super) enum Chunk {
    /// Cases of one family and seed.
    Generated { seed: u64, family: String, first: u64, count: u64 },
    /// Cases as they are, one a line, and what Kafka Streams gave for each, where that is recorded.
    Given { cases: Vec<String>, expected: Option<Vec<String>> },
}

/// The chunks of all seeds and families.
fn chunks(options: &Options) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for seed in options.seeds.clone() {
        for family in &options.families {
            let mut first = 0;
            while first < options.count {
                let count = CHUNK.min(options.count - first);
                chunks.push(Chunk::Generated { seed, family: family.clone(), first, count });
                first += count;
            }
        }
    }
    chunks
}

/// The chunks of what the options ask for.
pub(super) fn all(options: &Options) -> Result<Vec<Chunk>, String> {
    if options.generates() {
        return Ok(chunks(options));
    }
    let mut found = Vec::new();
    for path in &options.cases {
        found.extend(lists(&lines(path)?).map(|cases| Chunk::Given { cases, expected: None }));
    }
    for path in &options.recorded {
        let (cases, expected) = (lines(&path.with_extension("jsonl"))?, lines(&path.with_extension("expect.jsonl"))?);
        if cases.len() != expected.len() {
            return Err(format!("{}: {} cases, {} results", path.display(), cases.len(), expected.len()));
        }
        let both = lists(&cases).zip(lists(&expected));
        found.extend(both.map(|(cases, expected)| Chunk::Given { cases, expected: Some(expected) }));
    }
    Ok(found)
}

fn lists(lines: &[String]) -> impl Iterator<Item = Vec<String>> {
    lines.chunks(usize::try_from(CHUNK).unwrap_or(usize::MAX)).map(<[String]>::to_vec)
}

fn lines(path: &Path) -> Result<Vec<String>, String> {
    let text = tools::read(path)?;
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

impl Chunk {
    /// What Kafka Streams gave for the cases, where that is recorded.
    pub(super) fn recorded(&self) -> Result<Option<Vec<Json>>, String> {
        let Self::Given { expected: Some(lines), .. } = self else { return Ok(None) };
        let parse = |line: &String| serde_json::from_str(line).map_err(|error| format!("a recorded result: {error}"));
        lines.iter().map(parse).collect::<Result<_, _>>().map(Some)
    }

    /// The cases, one a line.
    pub(super) fn cases(&self, tools: &Tools) -> Result<Vec<String>, String> {
        let (seed, family, first, count) = match self {
            Self::Given { cases, .. } => return Ok(cases.clone()),
            Self::Generated { seed, family, first, count } => (seed, family, first, count),
        };
        let mut generator = tools.generator();
        for (name, number) in [("--seed", seed), ("--first", first), ("--count", count)] {
            generator.arg(name).arg(number.to_string());
        }
        generator.args(["--family", family, "--prefix", family]).stderr(Stdio::inherit());
        let output = generator.output().map_err(|error| format!("python3 does not start: {error}"))?;
        if !output.status.success() {
            return Err(format!("the generator of cases failed for family {family}, seed {seed}"));
        }
        let text = String::from_utf8(output.stdout).map_err(|error| format!("the generator's cases: {error}"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

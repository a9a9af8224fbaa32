//! Where cases come from: the generator, a chunk at a time, or a file.

use std::path::Path;
use std::process::Stdio;

use super::Options;
use super::tools::{self, Tools};

/// Cases that one worker runs at a time.
const CHUNK: u64 = 200;

/// A stretch of cases.
pub(super) enum Chunk {
    /// Cases of one family and seed.
    Generated { seed: u64, family: String, first: u64, count: u64 },
    /// Cases as they are, one a line.
    Given(Vec<String>),
}

/// The chunks of all seeds and families.
pub(super) fn chunks(options: &Options) -> Vec<Chunk> {
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

/// The chunks of a file of cases.
pub(super) fn chunks_of_file(path: &Path) -> Result<Vec<Chunk>, String> {
    let text = tools::read(path)?;
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    let size = usize::try_from(CHUNK).unwrap_or(usize::MAX);
    Ok(lines.chunks(size).map(|chunk| Chunk::Given(chunk.to_vec())).collect())
}

impl Chunk {
    /// The cases, one a line.
    pub(super) fn cases(&self, tools: &Tools) -> Result<Vec<String>, String> {
        let (seed, family, first, count) = match self {
            Self::Given(cases) => return Ok(cases.clone()),
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

//! What a sweep is asked for.

use std::path::PathBuf;

/// Families of the generator.
const FAMILIES: [&str; 13] = [
    "stateless",
    "windows",
    "sessions",
    "joins",
    "tables",
    "suppress",
    "processors",
    "naming",
    "errors",
    "versioned",
    "query",
    "cogroup",
    "mixed",
];

const HELP: &str = "\
usage: cargo xtask conformance [options]

  --seeds N      how many seeds (10)
  --first N      the first seed (1)
  --count M      cases of each family and seed (100)
  --family F     only this family; may be given several times
  --cases FILE   these cases (JSON lines) in place of generated ones; may be given several times
  --recorded F   the same for a file F.jsonl whose results of Kafka Streams are in F.expect.jsonl
  --show N       how many differences to show (10)
  --shrink N     how many of them to make smaller first (all that are shown)

Generates cases, runs each through Kafka Streams' TopologyTestDriver (needs Java 17, Maven and
Python 3) and through Millstream, and fails if anything differs or is unsupported.
";

/// What a sweep is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seeds.
    pub seeds: std::ops::Range<u64>,
    /// Families of cases.
    pub families: Vec<String>,
    /// Cases of each family and seed.
    pub count: u64,
    /// Files of cases, in place of generated ones.
    pub cases: Vec<PathBuf>,
    /// Files of cases beside which Kafka Streams' results are.
    pub recorded: Vec<PathBuf>,
    /// How many differences are shown.
    pub show: usize,
    /// How many are made smaller.
    pub shrink: usize,
}

impl Options {
    /// Whether cases are generated.
    #[must_use]
    pub fn generates(&self) -> bool {
        self.cases.is_empty() && self.recorded.is_empty()
    }

    /// Whether no program but this one is needed.
    #[must_use]
    pub fn is_self_sufficient(&self) -> bool {
        self.cases.is_empty() && !self.recorded.is_empty() && self.shrink == 0
    }
}

impl Options {
    /// Reads arguments.
    ///
    /// # Errors
    /// The usage, for people.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let (mut seeds, mut first, mut count, mut show, mut shrink) = (10, 1, 100, 10, usize::MAX);
        let (mut families, mut cases, mut recorded) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            if matches!(name.as_str(), "help" | "--help" | "-h") {
                return Err(HELP.to_owned());
            }
            let value = rest.next().ok_or_else(|| format!("{name}: a value is needed\n\n{HELP}"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{name} {value}: a number is needed\n\n{HELP}"));
            match name.as_str() {
                "--seeds" => seeds = number()?,
                "--first" => first = number()?,
                "--count" => count = number()?,
                "--show" => show = usize::try_from(number()?).unwrap_or(usize::MAX),
                "--shrink" => shrink = usize::try_from(number()?).unwrap_or(usize::MAX),
                "--cases" => cases.push(PathBuf::from(value)),
                "--recorded" => recorded.push(PathBuf::from(value)),
                "--family" if FAMILIES.contains(&value.as_str()) => families.push(value.clone()),
                "--family" => return Err(format!("no family {value}; there are {}", FAMILIES.join(", "))),
                _ => return Err(format!("{name} is not an option\n\n{HELP}")),
            }
        }
        if families.is_empty() {
            families = FAMILIES.map(str::to_owned).into();
        }
        Ok(Self {
            seeds: first..first.saturating_add(seeds),
            families,
            count,
            cases,
            recorded,
            show,
            shrink: shrink.min(show),
        })
    }
}

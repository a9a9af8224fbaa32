//! Splitting a stream.

use std::collections::BTreeMap;

use super::KStream;
use crate::operator::stateless::{self, BranchPredicate};

/// A stream being split. Each record goes to the first branch whose predicate holds; one that no
/// branch takes goes to the default branch, or is dropped silently.
///
/// ```
/// # use millstream_topology::{Branched, StreamsBuilder};
/// # let builder = StreamsBuilder::new();
/// let numbers = builder.stream::<String, i64>("numbers");
/// let branches = numbers
///     .named("by-sign-")
///     .split()
///     .branch_with(|_, number| *number < 0, Branched::named("negative"))
///     .default_branch();
/// branches["by-sign-negative"].to("negative");
/// branches["by-sign-0"].to("others");
/// # builder.build()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use = "a split ends with default_branch or no_default_branch"]
pub struct BranchedKStream<K, V> {
    stream: KStream<K, V>,
    splitter: String,
    predicates: Vec<BranchPredicate<K, V>>,
    outputs: BTreeMap<String, KStream<K, V>>,
}

/// Name of a branch and what is done with it.
///
/// ```
/// use millstream_topology::{Branched, StreamsBuilder};
///
/// let builder = StreamsBuilder::new();
/// let numbers = builder.stream::<i64, i64>("numbers").named("kind-").split();
/// let large = Branched::with_function(|large| large.filter(|_, number| *number < 99)).with_name("large");
/// let branches = numbers
///     .branch_with(|_, number| *number < 0, Branched::named("negative"))
///     .branch_with(|_, number| *number == 0, Branched::with_consumer(|zeros| zeros.to("zeros")))
///     .branch_with(|_, number| *number > 9, large)
///     .no_default_branch();
/// // A branch that was consumed is not in the map.
/// assert!(branches.keys().eq(["kind-large", "kind-negative"]));
/// builder.build()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct Branched<K, V> {
    name: Option<String>,
    chain: Option<BranchChain<K, V>>,
}

type BranchChain<K, V> = Box<dyn FnOnce(KStream<K, V>) -> Option<KStream<K, V>>>;

impl<K, V> Branched<K, V> {
    /// A branch with a name, which follows the splitter's name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), chain: None }
    }

    /// A branch whose stream in the map is what `chain` makes of it.
    pub fn with_function(chain: impl FnOnce(KStream<K, V>) -> KStream<K, V> + 'static) -> Self {
        Self { name: None, chain: Some(Box::new(move |stream| Some(chain(stream)))) }
    }

    /// A branch that is used up by `chain` and not in the map.
    pub fn with_consumer(chain: impl FnOnce(KStream<K, V>) + 'static) -> Self {
        Self {
            name: None,
            chain: Some(Box::new(move |stream| {
                chain(stream);
                None
            })),
        }
    }

    /// Gives the branch a name.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl<K, V> Default for Branched<K, V> {
    fn default() -> Self {
        Self { name: None, chain: None }
    }
}

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Starts a split; add branches in order of precedence.
    ///
    /// State: none. Topics: none. Nulls: reach the predicates.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Branched, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let numbers = builder.stream::<i64, i64>("numbers");
    /// let branches = numbers
    ///     .named("sign-")
    ///     .split()
    ///     .branch_with(|_, number| *number < 0, Branched::named("negative"))
    ///     .branch(|_, number| *number == 0)
    ///     .default_branch();
    /// branches["sign-negative"].to("negative");
    /// branches["sign-2"].to("zero");
    /// branches["sign-0"].to("positive");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("numbers", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, -20), (2, 30)])?;
    /// assert_eq!(driver.produced_topic_names(), ["negative", "positive"]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn split(&self) -> BranchedKStream<K, V> {
        let splitter = self.draft.borrow_mut().node_name(self.name.clone(), "KSTREAM-BRANCH-");
        self.draft.borrow_mut().then(&splitter, &[&self.node], &[], stateless::branch::<K, V>(Vec::new()));
        BranchedKStream { stream: self.clone(), splitter, predicates: Vec::new(), outputs: BTreeMap::new() }
    }
}

impl<K, V> BranchedKStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// [`branch_with`](Self::branch_with) whose branch is named by its position, counted from 1.
    pub fn branch(self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.branch_with(predicate, Branched::default())
    }

    /// Adds a branch: it gets the records its predicate holds for and no branch before it took.
    ///
    /// State: none. Topics: none. Nulls: reach the predicate.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Branched, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let large = Branched::with_consumer(|large| large.to("large"));
    /// builder.stream::<i64, i64>("orders").split().branch_with(|_, cents| *cents > 10_000, large).no_default_branch();
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("orders", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 5), (2, 20_000)])?;
    /// let large = driver.create_output_topic("large", Serdes::long(), Serdes::long());
    /// assert_eq!(large.read_key_values_to_list()?, [(2, 20_000)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn branch_with(
        mut self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        branched: Branched<K, V>,
    ) -> Self {
        self.predicates.push(std::sync::Arc::new(predicate));
        let position = self.predicates.len().to_string();
        self.add(branched, &position);
        self
    }

    /// Ends the split with a branch for all other records, and gives all branches by name: the splitter's
    /// name followed by the branch's name, its position, or `0` for this one.
    ///
    /// State: none. Topics: none. Nulls: go where the predicates send them.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Branched, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let split = builder.stream::<i64, i64>("numbers").split().branch(|_, number| *number < 0);
    /// let branches = split.default_branch();
    /// assert!(branches.keys().eq(["KSTREAM-BRANCH-00000000010", "KSTREAM-BRANCH-00000000011"]));
    /// ```
    pub fn default_branch(self) -> BTreeMap<String, KStream<K, V>> {
        self.default_branch_with(Branched::default())
    }

    /// [`default_branch`](Self::default_branch) with a name or chain for the default branch.
    pub fn default_branch_with(mut self, branched: Branched<K, V>) -> BTreeMap<String, KStream<K, V>> {
        self.predicates.push(std::sync::Arc::new(|_, _| true));
        self.add(branched, "0");
        self.outputs
    }

    /// [`default_branch`](Self::default_branch) without such a branch: records that no branch takes are
    /// dropped silently. [`branch_with`](Self::branch_with) has an example.
    pub fn no_default_branch(self) -> BTreeMap<String, KStream<K, V>> {
        self.outputs
    }

    fn add(&mut self, branched: Branched<K, V>, position: &str) {
        let name = format!("{}{}", self.splitter, branched.name.as_deref().unwrap_or(position));
        {
            let mut draft = self.stream.draft.borrow_mut();
            draft.check_name(branched.name.as_deref());
            draft.names.burn();
            draft.then(&name, &[&self.splitter], &[], stateless::pass::<K, V>());
            // The splitter was written before its branches were known.
            draft.replace(&self.splitter, stateless::branch(self.predicates.clone()));
        }
        let output = self.stream.after(name.clone(), self.stream.key.clone(), self.stream.value.clone());
        let output = match branched.chain {
            Some(chain) => chain(output),
            None => Some(output),
        };
        if let Some(output) = output {
            self.outputs.insert(name, output);
        }
    }
}

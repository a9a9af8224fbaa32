//! Which serde a type has unless the user names another.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{Serde, Serdes};

/// Default serdes by type, found at run time, so that the DSL asks nothing of its types.
///
/// A type that is missing is reported when the topology is built. Cloning shares the entries.
///
/// ```
/// use millstream_types::{Serde, SerdeRegistry};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Flight {
///     carrier: String,
/// }
///
/// let mut serdes = SerdeRegistry::with_builtin();
/// assert!(serdes.get::<i64>().is_some());
/// assert!(serdes.get::<Flight>().is_none());
///
/// serdes.register(Serde::<Flight>::json());
/// assert!(serdes.get::<Flight>().is_some());
/// assert!(serdes.get::<Option<Flight>>().is_some());
/// ```
#[derive(Clone, Default)]
pub struct SerdeRegistry {
    entries: Arc<BTreeMap<TypeId, Entry>>,
}

#[derive(Clone)]
struct Entry {
    type_name: &'static str,
    /// A `Serde<T>` of the type that is its key.
    serde: Arc<dyn Any + Send + Sync>,
}

impl SerdeRegistry {
    /// Knows no type.
    pub fn new() -> Self {
        Self::default()
    }

    /// Knows the types of [`Serdes`], their options, and lists of them.
    pub fn with_builtin() -> Self {
        let mut registry = Self::new();
        registry.register_with_list(Serdes::string());
        registry.register_with_list(Serdes::short());
        registry.register_with_list(Serdes::integer());
        registry.register_with_list(Serdes::long());
        registry.register_with_list(Serdes::float());
        registry.register_with_list(Serdes::double());
        registry.register_with_list(Serdes::boolean());
        registry.register_with_list(Serdes::uuid());
        registry.register_with_list(Serdes::byte_array());
        registry.register_with_list(Serdes::bytes());
        registry.register(Serdes::void());
        registry
    }

    /// Makes this the default of `T`, and its [`Serde::optional`] that of `Option<T>`. Replaces
    /// what was there.
    pub fn register<T: 'static>(&mut self, serde: Serde<T>) -> &mut Self {
        self.insert(serde.clone().optional());
        self.insert(serde);
        self
    }

    /// The default serde of `T`.
    pub fn get<T: 'static>(&self) -> Option<Serde<T>> {
        self.entries.get(&TypeId::of::<T>())?.serde.downcast_ref::<Serde<T>>().cloned()
    }

    fn register_with_list<T: 'static>(&mut self, serde: Serde<T>) {
        self.register(Serde::list(serde.clone()));
        self.register(Serde::list(serde.clone().optional()));
        self.register(serde);
    }

    fn insert<T: 'static>(&mut self, serde: Serde<T>) {
        let entry = Entry { type_name: std::any::type_name::<T>(), serde: Arc::new(serde) };
        Arc::make_mut(&mut self.entries).insert(TypeId::of::<T>(), entry);
    }
}

impl fmt::Debug for SerdeRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.entries.values().map(|entry| entry.type_name).collect();
        names.sort_unstable();
        f.debug_set().entries(names).finish()
    }
}

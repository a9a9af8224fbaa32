//! What `windowed_by` takes: windows of any kind.

use millstream_types::Timestamp;

use super::{
    CogroupedKStream, KGroupedStream, SessionWindowedCogroupedKStream, SessionWindowedKStream, SessionWindows,
    SlidingWindows, TimeWindowedCogroupedKStream, TimeWindowedKStream, TimeWindows, UnlimitedWindows,
};

/// Windows that a grouped stream can be cut into: [`TimeWindows`], [`SlidingWindows`],
/// [`SessionWindows`], [`UnlimitedWindows`].
pub trait Windowing: Copy + private::Sealed {
    /// What a grouped stream becomes.
    type Windowed<K, V>;
    /// What a cogrouped stream becomes.
    type Cogrouped<K, A>;

    /// Cuts a grouped stream into these windows.
    fn windowed<K, V>(self, grouped: KGroupedStream<K, V>) -> Self::Windowed<K, V>;

    /// Cuts a cogrouped stream into these windows.
    fn cogrouped<K, A>(self, cogrouped: CogroupedKStream<K, A>) -> Self::Cogrouped<K, A>;
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::TimeWindows {}
    impl Sealed for super::UnlimitedWindows {}
    impl Sealed for super::SlidingWindows {}
    impl Sealed for super::SessionWindows {}
}

/// Windows whose bounds do not depend on the data.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FixedWindows {
    Time(TimeWindows),
    Unlimited(UnlimitedWindows),
}

/// Windows that are known by their start: their size is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SizedWindows {
    Fixed(FixedWindows),
    Sliding(SlidingWindows),
}

impl FixedWindows {
    pub(crate) fn size_ms(&self) -> i64 {
        match self {
            Self::Time(windows) => windows.size_ms(),
            Self::Unlimited(_) => UnlimitedWindows::SIZE_MS,
        }
    }

    pub(crate) fn grace_period_ms(&self) -> i64 {
        match self {
            Self::Time(windows) => windows.grace_period_ms(),
            Self::Unlimited(_) => 0,
        }
    }

    /// Whether the windows that hold `time` all end before time does. Unlimited ones never end.
    pub(crate) fn end_in_time(&self, time: Timestamp) -> bool {
        match self {
            // The newest of them starts at a multiple of the advance.
            Self::Time(windows) => {
                windows.starts_of(time).all(|start| start.0.checked_add(windows.size_ms()).is_some())
            }
            Self::Unlimited(_) => true,
        }
    }

    /// Starts of the windows that hold `time`, ascending.
    pub(crate) fn starts_of(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let (many, one) = match self {
            Self::Time(windows) => (Some(windows.starts_of(time)), None),
            Self::Unlimited(windows) => (None, Some(windows.start()).filter(|start| *start <= time)),
        };
        many.into_iter().flatten().chain(one)
    }
}

impl SizedWindows {
    pub(crate) fn size_ms(&self) -> i64 {
        match self {
            Self::Fixed(windows) => windows.size_ms(),
            Self::Sliding(windows) => windows.time_difference_ms(),
        }
    }

    pub(crate) fn grace_period_ms(&self) -> i64 {
        match self {
            Self::Fixed(windows) => windows.grace_period_ms(),
            Self::Sliding(windows) => windows.grace_period_ms(),
        }
    }

    /// How long a store must keep windows at least, in ms. Sliding windows look back twice their size.
    pub(crate) fn retention_ms(&self) -> i64 {
        let reach = match self {
            Self::Fixed(windows) => windows.size_ms(),
            Self::Sliding(windows) => windows.time_difference_ms().saturating_mul(2),
        };
        reach.saturating_add(self.grace_period_ms())
    }
}

/// Windows that make a `TimeWindowedKStream`.
macro_rules! sized {
    ($($windows:ident => $sized:expr;)+) => {$(
        impl Windowing for $windows {
            type Windowed<K, V> = TimeWindowedKStream<K, V>;
            type Cogrouped<K, A> = TimeWindowedCogroupedKStream<K, A>;

            fn windowed<K, V>(self, grouped: KGroupedStream<K, V>) -> TimeWindowedKStream<K, V> {
                TimeWindowedKStream::new(grouped, $sized(self))
            }

            fn cogrouped<K, A>(self, cogrouped: CogroupedKStream<K, A>) -> TimeWindowedCogroupedKStream<K, A> {
                TimeWindowedCogroupedKStream { cogrouped, windows: $sized(self) }
            }
        }
    )+};
}

sized! {
    TimeWindows => |windows| SizedWindows::Fixed(FixedWindows::Time(windows));
    UnlimitedWindows => |windows| SizedWindows::Fixed(FixedWindows::Unlimited(windows));
    SlidingWindows => SizedWindows::Sliding;
}

impl Windowing for SessionWindows {
    type Windowed<K, V> = SessionWindowedKStream<K, V>;
    type Cogrouped<K, A> = SessionWindowedCogroupedKStream<K, A>;

    fn windowed<K, V>(self, grouped: KGroupedStream<K, V>) -> SessionWindowedKStream<K, V> {
        SessionWindowedKStream::new(grouped, self)
    }

    fn cogrouped<K, A>(self, cogrouped: CogroupedKStream<K, A>) -> SessionWindowedCogroupedKStream<K, A> {
        SessionWindowedCogroupedKStream { cogrouped, windows: self }
    }
}

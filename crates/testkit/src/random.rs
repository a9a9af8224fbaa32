//! The one source of randomness of the test kit: small, seeded and the same on every machine.

/// A seeded generator (xoshiro256++, seeded by splitmix64). Not for secrets.
///
/// ```
/// use millstream_testkit::Random;
///
/// let mut one = Random::new(7);
/// let mut other = Random::new(7);
/// assert_eq!(one.next_u64(), other.next_u64());
/// assert!(one.below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator of that seed.
    pub fn new(seed: u64) -> Self {
        let mut next = seed;
        let mut split = || {
            next = next.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(next)
        };
        Self { state: [split(), split(), split(), split()] }
    }

    /// A generator for one domain of the same seed, so that what one domain draws does not shift
    /// what another gets.
    pub fn domain(seed: u64, domain: &str) -> Self {
        let hash = domain
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self::new(seed ^ mix(hash))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [mut a, mut b, mut c, mut d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let shifted = b << 17;
        c ^= a;
        d ^= b;
        b ^= c;
        a ^= d;
        c ^= shifted;
        d = d.rotate_left(45);
        self.state = [a, b, c, d];
        result
    }

    /// A number from 0 (inclusive) to `end` (exclusive); 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias of the high multiplication is far below what a test could see.
        ((u128::from(self.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `from` to `to`, both inclusive.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from).saturating_add(1))
    }

    /// Whether something that happens that often in a thousand happens now.
    pub fn per_mille(&mut self, often: u32) -> bool {
        self.below(1000) < u64::from(often)
    }

    /// An even chance.
    pub fn coin(&mut self) -> bool {
        self.next_u64() & 1 == 1
    }

    /// One of these; `None` of an empty list.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// Brings a list into a random order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

/// The finaliser of splitmix64.
pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_published_algorithm() {
        // splitmix64 of seed 0 and xoshiro256++ over its first four words, computed independently.
        assert_eq!(
            Random::new(0).state,
            [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f, 0xf88b_b8a8_724c_81ec]
        );
        let mut random = Random { state: [1, 2, 3, 4] };
        assert_eq!(
            [random.next_u64(), random.next_u64(), random.next_u64()],
            [41_943_041, 58_720_359, 3_588_806_011_781_223]
        );
    }

    #[test]
    fn every_value_of_a_small_range_comes() {
        let mut random = Random::new(1);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[random.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|count| *count > 120), "{seen:?}");
    }

    #[test]
    fn domains_of_a_seed_differ() {
        assert_ne!(Random::domain(3, "faults").next_u64(), Random::domain(3, "records").next_u64());
    }
}

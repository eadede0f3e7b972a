//! Random numbers that depend on the seed and on what they are for, so that one more draw in one place
//! changes nothing in another.

use std::time::Duration;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Dice(fastrand::Rng);

impl Dice {
    /// The numbers of `purpose` under `seed`.
    pub(super) fn new(seed: u64, purpose: &str) -> Dice {
        Dice(fastrand::Rng::with_seed(hash(seed, purpose)))
    }

    /// Whether something that happens in `percent` of all cases happens now.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.0.u32(0..100) < percent
    }

    /// As [`Dice::chance`], in thousandths.
    pub(super) fn rarely(&mut self, thousandths: u32) -> bool {
        self.0.u32(0..1000) < thousandths
    }

    pub(super) fn within(&mut self, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.0.u64(range)
    }

    pub(super) fn millis(&mut self, range: std::ops::RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        self.0.usize(0..length.max(1))
    }

    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.index(all.len())]
    }
}

/// Where FNV-1a begins.
pub(super) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, which is the same on every machine: `hash` goes on with this text.
pub(super) fn fnv(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A number that depends on all of the seed and the text.
pub(super) fn hash(seed: u64, text: &str) -> u64 {
    let mixed = fnv(FNV_START ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), text);
    (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (mixed >> 29)
}

//! How streams answer.

/// How streams answer in this seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamHabits {
    pub(crate) shards_a_page: usize,
    pub(crate) records_a_page: usize,
    /// In percent: pages without records where there are some.
    pub(crate) empty_pages: u32,
    /// In milliseconds; 15 minutes in truth.
    pub(crate) iterator_life: u64,
    /// Emulators answer with all shards where children are asked for.
    pub(crate) ignores_filter: bool,
    /// Reads of one shard within a second.
    pub(crate) reads_a_second: usize,
    /// In thousandths: a shard that an answer leaves out, though it was listed before.
    pub(crate) forgets: u32,
}

//! The checks after faults have ended, writes have stopped, and time has passed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use streamdex_mapping::Mapper;
use streamdex_mapping::event::read_item;
use streamdex_poller::GapKind;

use super::settings::mapper;
use super::table::{Entry, Item, KEY, Shard, Table};
use super::time::HOUR;
use super::world::{BEFORE, World};

/// Whether every record that can still be read has an outcome: nothing more will happen.
pub(super) fn is_settled(world: &World) -> bool {
    let gaps = Gaps::of(world);
    let table = world.table();
    let open = table
        .streams
        .iter()
        .flat_map(|stream| stream.shards.values())
        .any(|shard| shard.open_records().next().is_some() && !gaps.explain(&table, shard));
    // A stream that was switched off is noticed by the next listing.
    !open && gaps.explain_later_streams(&table)
}

/// Reports everything that is wrong.
pub(super) fn check(world: &World) {
    let gaps = Gaps::of(world);
    check_gaps(world, &gaps);
    let affected = check_records(world, &gaps);
    check_documents(world, &gaps, &affected);
    check_letters(world);
}

/// After a repair: neither gaps nor anything else excuses a difference, but for what OpenSearch refuses.
pub(super) fn check_audited(world: &World) {
    let gaps = Gaps::of(world);
    check_gaps(world, &gaps);
    check_records(world, &gaps);
    let (expected, live) = (expected(world), world.search().live());
    let is_refused = |id: &String| world.table().items.get(id).is_some_and(Item::is_poison);
    for address in expected.keys().chain(live.keys()).filter(|address| !is_refused(&address.1)) {
        if expected.get(address) != live.get(address) {
            let (index, id) = address;
            world.trace.violation(format_args!("{index}/{id} differs after the repair"));
        }
    }
    for letter in world.letters_after(None) {
        let key = letter.keys.as_deref().map(|keys| serde_json::from_str::<Value>(keys).unwrap());
        let key = key.and_then(|key| Some(key[KEY]["S"].as_str()?.to_owned()));
        if key.is_some_and(|key| !is_refused(&key)) {
            world.trace.violation(format_args!("the letter of {} is healed, and listed", letter.key.record));
        }
    }
}

/// At the moment at which searches move: what they see is what the table holds, but for what was changed a moment ago, is on
/// its way, or nobody can know.
pub(super) fn check_moved(world: &World) {
    let (expected, live) = (expected(world), world.search().live());
    let (table, now) = (world.table(), world.time.seconds());
    let is_fresh = |key: &str| table.latest.get(key).is_some_and(|latest| (latest.version >> 31) + SETTLED > now);
    let is_excused = |key: &str| {
        table.items.get(key).is_some_and(Item::is_poison)
            || is_fresh(key)
            || table.is_on_its_way(key)
            || table.torn.is_last(key)
            || table.unrecorded.iter().any(|unrecorded| unrecorded == key)
    };
    if !world.search().lost.is_empty() {
        return;
    }
    for address in expected.keys().chain(live.keys()).filter(|address| !is_excused(&address.1)) {
        if expected.get(address) != live.get(address) {
            let (index, id) = address;
            world.trace.violation(format_args!("searches move to {index}, and {id} of it differs from the table"));
        }
    }
}

/// A change is where it belongs after so many seconds, once it has its outcome: deletes are sent again a minute later.
const SETTLED: u64 = 100;

/// Index and id.
type Address = (String, String);

/// The gaps in the state table.
struct Gaps {
    shards: BTreeMap<String, GapKind>,
    /// All of the stream is concerned.
    all: bool,
    index: bool,
    /// How many streams the group has begun to follow, where all workers ended because of gaps: none is looked for
    /// before an operator has acted.
    resigned: Option<usize>,
}

impl Gaps {
    fn of(world: &World) -> Gaps {
        let resigned = world.is_resigned().then(|| world.state().begun());
        let mut gaps = Gaps { shards: BTreeMap::new(), all: false, index: false, resigned };
        for gap in world.state().gaps() {
            match gap.kind {
                GapKind::StreamReplaced | GapKind::StreamVanished => gaps.all = true,
                GapKind::IndexVanished => gaps.index = true,
                kind => drop(gaps.shards.insert(gap.subject.clone(), kind)),
            }
        }
        gaps
    }

    /// Whether a recorded gap says that this shard is not read to its end.
    fn explain(&self, table: &Table, shard: &Shard) -> bool {
        if self.all || self.index || self.shards.contains_key(&shard.id) {
            return true;
        }
        if let Some(begun) = self.resigned
            && table.streams.iter().skip(begun).any(|stream| stream.shards.contains_key(&shard.id))
        {
            return true;
        }
        let ancestors = |gap| std::iter::successors(Some(gap), |gap: &&Shard| table.shard(gap.parent.as_ref()?));
        let gaps = self.shards.keys().filter_map(|id| table.shard(id));
        let below = gaps.flat_map(ancestors).any(|ancestor| ancestor.id == shard.id);
        let parent = shard.parent.as_ref().and_then(|parent| table.shard(parent));
        below || parent.is_some_and(|parent| self.explain_below(table, parent))
    }

    /// Whether it is known, or beyond everybody, that the first stream is not the only one.
    fn explain_later_streams(&self, table: &Table) -> bool {
        self.all || table.streams.len() == 1 || self.resigned.is_some()
    }

    fn explain_below(&self, table: &Table, shard: &Shard) -> bool {
        let parent = || shard.parent.as_ref().and_then(|parent| table.shard(parent));
        self.shards.contains_key(&shard.id) || parent().is_some_and(|parent| self.explain_below(table, parent))
    }
}

/// A gap that nothing justifies is a false alarm, and stops a lineage for nothing.
fn check_gaps(world: &World, gaps: &Gaps) {
    let table = world.table();
    for (id, kind) in &gaps.shards {
        let lost = |shard: &Shard| shard.removed || shard.trimmed > 0;
        let justified = table.shard(id).is_some_and(|shard| {
            lost(shard) || shard.parent.as_ref().and_then(|parent| table.shard(parent)).is_some_and(lost)
        });
        // What nobody looked at for nearly a day counts as lost, before it is known to be.
        let unread = *kind == GapKind::Unread && world.time.millis() > 23 * HOUR;
        if !justified && !unread {
            world.trace.violation(format_args!("a gap is recorded for {id}, and nothing of it is gone"));
        }
    }
    if gaps.all && table.streams.len() == 1 && table.streams.iter().all(|stream| stream.enabled) {
        world.trace.violation(format_args!("a replaced stream is recorded, and it is still the first"));
    }
    if gaps.index && world.search().lost.is_empty() {
        world.trace.violation(format_args!("a vanished index is recorded, and none is gone"));
    }
    // Something was written to each since; where another gap stops the writing, nobody can notice.
    let goes_on = !gaps.all && gaps.shards.is_empty() && gaps.resigned.is_none();
    let lost = world.search().to_be_noticed.clone();
    if !lost.is_empty() && !gaps.index && goes_on {
        world.trace.violation(format_args!("{} is gone, and no gap says so", lost.join(", ")));
    }
}

/// Every record has an outcome, or a gap says why not; the keys of the latter.
fn check_records(world: &World, gaps: &Gaps) -> BTreeSet<String> {
    let table = world.table();
    let mut affected: BTreeSet<String> = table.unrecorded.iter().cloned().collect();
    for shard in table.streams.iter().flat_map(|stream| stream.shards.values()) {
        let explained = gaps.explain(&table, shard);
        let open = shard.open_records().count();
        if let Some(first) = shard.open_records().next().filter(|_| !explained) {
            let (sequence, key) = (&first.sequence, &first.key);
            world
                .trace
                .violation(format_args!("{open} records of {} from {sequence} ({key}) have no outcome", shard.id));
        }
        affected.extend(shard.open_records().map(|entry| entry.key.clone()));
    }
    if !table.unrecorded.is_empty() && !gaps.explain_later_streams(&table) {
        world.trace.violation(format_args!("changes are in no stream, and no gap says so"));
    }
    affected
}

/// The index equals the table, but for what gaps explain.
fn check_documents(world: &World, gaps: &Gaps, affected: &BTreeSet<String>) {
    if gaps.index {
        return;
    }
    let unread = unread_keys(world);
    let expected = expected(world);
    let live = world.search().live();
    // The documents of those stay as they were, whatever that was.
    let table = world.table();
    let poisoned: BTreeSet<String> =
        table.items.iter().filter(|(_, item)| item.is_poison()).map(|(key, _)| key.clone()).collect();
    drop(table);
    // Where an index is lost and nothing is written to it any more, nobody can notice.
    let is_lost = !world.search().lost.is_empty();
    let was_lost = |id: &String| is_lost && world.plan.fill && id.starts_with(BEFORE);
    let skip = |id: &String| was_lost(id) || affected.contains(id) || unread.contains(id) || poisoned.contains(id);
    let torn = torn(world);
    let is_state = |address: &Address, document: &Value| torn.get(address).is_some_and(|all| all.contains(document));
    let is_torn = |id: &str| world.table().torn.is_last(id);
    for (address, document) in expected.iter().filter(|(address, _)| !skip(&address.1)) {
        match live.get(address) {
            None if is_torn(&address.1) => {}
            None => world.trace.violation(format_args!("{}/{} is not in the index", address.0, address.1)),
            Some(found) if found == document || is_torn(&address.1) && is_state(address, found) => {}
            Some(found) => {
                world.trace.violation(format_args!("{}/{} is {found}, not {document}", address.0, address.1));
            }
        }
    }
    let unexpected = live.iter().filter(|(address, _)| !skip(&address.1) && !expected.contains_key(*address));
    for (address, _) in unexpected.filter(|(address, document)| !is_state(address, document)) {
        world.trace.violation(format_args!("{}/{} is in the index, and not in the table", address.0, address.1));
    }
}

/// The documents that may be there of items that changed on both sides of a split within a second.
fn torn(world: &World) -> BTreeMap<Address, Vec<Value>> {
    let mapper = mapper(&world.plan);
    let table = world.table();
    let mut documents: BTreeMap<Address, Vec<Value>> = BTreeMap::new();
    for key in table.latest.keys() {
        for item in table.torn.states(key) {
            if let Some((address, document)) = mapped(&mapper, key, item) {
                documents.entry(address).or_default().push(document);
            }
        }
    }
    documents
}

/// The document of an item, where it has one.
fn mapped(mapper: &Mapper, key: &str, item: &Item) -> Option<(Address, Value)> {
    let (address, document) = mapper.map_item(&read_item(&item.json(key).to_string()).unwrap()).unwrap()?;
    let index = format!("{}-000001", address.index);
    Some(((index, address.id.as_str().to_owned()), serde_json::from_slice(&document).unwrap()))
}

/// A record whose document is refused for ever is a dead letter, unless a later change of its item took its place.
fn check_letters(world: &World) {
    let table = world.table();
    let mut last: BTreeMap<&str, &Entry> = BTreeMap::new();
    for entry in table.streams.iter().flat_map(|stream| stream.shards.values()).flat_map(|shard| &shard.records) {
        let known = last.entry(&entry.key).or_insert(entry);
        if known.created <= entry.created {
            *known = entry;
        }
    }
    for entry in last.values().filter(|entry| entry.is_poison && entry.acknowledged && !entry.exempt) {
        if !world.has_letter(&entry.sequence) && world.search().lost.is_empty() {
            let (sequence, key) = (&entry.sequence, &entry.key);
            world.trace.violation(format_args!("{sequence} ({key}) was refused, and is no dead letter"));
        }
    }
}

/// Keys whose last change nobody had to read: it was gone, or older than the start, when the group began.
fn unread_keys(world: &World) -> BTreeSet<String> {
    let table = world.table();
    let mut last: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    for entry in table.streams.iter().flat_map(|stream| stream.shards.values()).flat_map(|shard| &shard.records) {
        let known = last.entry(&entry.key).or_default();
        *known = (*known).max((entry.created, entry.exempt));
    }
    last.into_iter().filter(|(_, (_, exempt))| *exempt).map(|(key, _)| key.to_owned()).collect()
}

fn expected(world: &World) -> BTreeMap<Address, Value> {
    let mapper = mapper(&world.plan);
    world.table().items.iter().filter_map(|(key, item)| mapped(&mapper, key, item)).collect()
}

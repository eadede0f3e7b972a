//! The parts of a table, and how the shards of its stream follow one another.

use std::collections::BTreeMap;

use super::shard::Hidden;
use super::{Partition, Shard, Stream, TABLE_ARN, Table};
use crate::simulation::time::{HOUR, Window};

impl Table {
    /// Closes the shard of one partition and opens the next one.
    pub(crate) fn roll_over(&mut self, which: usize) {
        let place = which % self.partitions.len();
        if let Some(parent) = self.close(place) {
            let child = self.open(Some(parent));
            self.partitions[place].shard = Some(child);
        }
    }

    /// Splits one partition in two, which count their changes from the beginning.
    pub(crate) fn split(&mut self, which: usize) {
        let place = which % self.partitions.len();
        let (low, high) = self.partitions[place].range;
        let Some(parent) = self.close(place) else { return };
        let middle = low + (high - low) / 2;
        self.partitions.remove(place);
        for range in [(low, middle), (middle + 1, high)] {
            let shard = Some(self.open(Some(parent.clone())));
            let counter = self.dice.within(1..=1_000_000_000_000);
            let now = self.time.seconds();
            let (not_before, torn) = if self.habits.resets { (0, Some(now)) } else { (now + 1, None) };
            self.partitions.push(Partition { range, counter, shard, not_before, torn });
        }
    }

    /// Switches the stream off: its shards close, and changes are not recorded any more.
    pub(crate) fn disable(&mut self) {
        for place in 0..self.partitions.len() {
            self.close(place);
        }
        if let Some(stream) = self.streams.last_mut() {
            stream.enabled = false;
        }
    }

    /// Switches a new stream on.
    pub(crate) fn enable(&mut self) {
        let arn = format!("{TABLE_ARN}/stream/2026-01-01T00:00:{:02}.000", self.streams.len());
        self.streams.push(Stream { arn, shards: BTreeMap::new(), enabled: true });
        for place in 0..self.partitions.len() {
            let shard = self.open(None);
            self.partitions[place].shard = Some(shard);
        }
    }

    fn close(&mut self, place: usize) -> Option<String> {
        let id = self.partitions[place].shard.take()?;
        let now = self.time.millis();
        let delay = self.visibility();
        let shard = self.streams.last_mut()?.shards.get_mut(&id)?;
        let last = shard.records.last().map_or(0, |entry| entry.visible_from);
        shard.closed = Some(last.max(now));
        shard.shown_closed_from = now + delay;
        Some(id)
    }

    fn open(&mut self, parent: Option<String>) -> String {
        let now = self.time.millis();
        let id = format!(
            "shardId-{:020}-{:08x}",
            self.time.seconds() * 1_000 + now % 1_000,
            self.dice.within(0..=0xffff_ffff)
        );
        let mut delay = self.visibility();
        // A shard never shows before its parent does, unless listings are wrong; here they can follow one another within
        // seconds.
        let late = self.habits.lies.children_first;
        let parents = parent.as_ref().and_then(|parent| self.shard(parent));
        let earliest = parents.map(|parent| if late > 0 { now } else { parent.listed_from.max(now) });
        if late > 0 && parent.is_some() {
            delay = self.dice.within(0..=late);
        }
        let shard = Shard {
            id: id.clone(),
            listed_from: earliest.map_or(now, |earliest| earliest + delay),
            settles: earliest.map_or(now, |earliest| earliest + delay) + 1_200,
            parent,
            records: Vec::new(),
            closed: None,
            shown_closed_from: u64::MAX,
            trimmed: 0,
            grace: self.dice.within(0..=HOUR),
            removed: false,
            opened: now,
            may_lose_more: false,
            reads: Window::default(),
            hidden: Hidden::default(),
        };
        if let Some(stream) = self.streams.last_mut() {
            stream.shards.insert(id.clone(), shard);
        }
        id
    }

    /// How long listings lag behind: mostly not, at times for a long time.
    fn visibility(&mut self) -> u64 {
        match self.dice.index(10) {
            0..6 => self.dice.within(0..=300),
            6..9 => self.dice.within(300..=3_000),
            _ => self.dice.within(3_000..=20_000),
        }
    }
}

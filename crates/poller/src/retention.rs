//! Decides how long the oldest records of a shard are certainly kept.
//!
//! The service reports trimmed records only for an iterator after a given record. An iterator at the oldest record
//! returns the oldest that are left. So a shard that nobody has read yet is judged by its age.

use streamdex_config::StreamArn;
use streamdex_dynamodb::stream::{KEPT_SECONDS, ShardId};

use crate::clock::ServiceTime;

/// Until when nothing of a shard can be trimmed, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retained(u64);

/// Nothing is proven about what was last looked at near that.
const SURELY_KEPT_SECONDS: u64 = KEPT_SECONDS - 30 * 60;

impl Retained {
    /// Of what came after `moment`, in seconds since 1970. `None`: emulators trim nothing.
    pub(crate) fn since(moment: u64, stream: &StreamArn) -> Option<Retained> {
        (!stream.table().is_emulator()).then(|| Retained(moment.saturating_add(SURELY_KEPT_SECONDS)))
    }

    /// Of all that a shard holds whose item is of the time `born`: its records may be as old as the shard itself, but
    /// for what was read up to `swept`.
    ///
    /// What was near the end of its time already when the group began at `begun` was never promised to it.
    pub(crate) fn of_shard(
        shard: &ShardId,
        born: u64,
        swept: Option<u64>,
        begun: u64,
        stream: &StreamArn,
    ) -> Option<Retained> {
        let opened =
            shard.opened().filter(|opened| *opened < born && opened.saturating_add(SURELY_KEPT_SECONDS) > begun);
        Retained::since(opened.unwrap_or(born).max(swept.unwrap_or(0)), stream)
    }

    /// Whether something may be trimmed by now.
    pub(crate) fn is_over(self, time: &ServiceTime) -> bool {
        time.now() > self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/L1";
    const HOUR: u64 = 60 * 60;

    fn arn() -> StreamArn {
        StreamArn::parse(ARN).unwrap()
    }

    #[test]
    fn a_shard_is_as_old_as_its_id_says() {
        let id = ShardId::new("shardId-00000001800000000123-0a1b2c3d");
        assert_eq!(id.opened(), Some(1_800_000_000));
        for other in ["shardId-17", "shard-00000001800000000123-0a", "shardId-0000000180000000012x-0a", ""] {
            assert_eq!(ShardId::new(other).opened(), None, "{other}");
        }
        let opened = 1_800_000_000;
        // Its parent was read twenty hours later, and nobody went on.
        let retained = Retained::of_shard(&id, opened + 20 * HOUR, None, opened - HOUR, &arn());
        assert_eq!(retained, Retained::since(opened, &arn()));
        // When the group began, it was near the end of its time: what is left is what there is to read.
        let born = opened + 24 * HOUR;
        assert_eq!(Retained::of_shard(&id, born, None, born - 5, &arn()), Retained::since(born, &arn()));
        let unknown = ShardId::new("shardId-17");
        assert_eq!(Retained::of_shard(&unknown, born, None, born - 5, &arn()), Retained::since(born, &arn()));
        let emulator = StreamArn::parse("arn:aws:dynamodb:ddblocal:000000000000:table/t/stream/L1").unwrap();
        assert_eq!(Retained::since(7, &emulator), None);
    }

    #[test]
    fn l8_what_was_read_to_an_empty_page_does_not_grow_old() {
        let id = ShardId::new("shardId-00000001800000000123-0a1b2c3d");
        let opened = 1_800_000_000;
        let swept = opened + 30 * HOUR;
        let retained = Retained::of_shard(&id, opened + 5, Some(swept), opened, &arn());
        assert_eq!(retained, Retained::since(swept, &arn()));
        assert_eq!(Retained::of_shard(&id, opened + 5, Some(7), opened, &arn()), Retained::since(opened, &arn()));
    }
}

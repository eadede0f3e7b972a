//! Replays S3 objects, one after the other.
//!
//! Objects that Lambda did not write are kept and do not stop the others; so are objects that cannot be fetched. With
//! `--remove`, an object is removed once all of its records have an outcome that can be found again: their items are in
//! the index, or are dead letters that `dlq replay` can heal.

use super::Replay;
use super::given_up::event_in;
use crate::bucket::{Bucket, Location};
use crate::captured::Capturer;
use crate::exit::{CliError, Exit};
use crate::input::Piece;
use crate::output;
use streamdex_config::State;

/// The number of failures in a row after which the problem is not a single object's.
const MOST_FAILURES: u32 = 10;

/// What became of the objects.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    replayed: u64,
    removed: u64,
    /// Not what Lambda gave up, or with records that no dead letter can heal, or written again meanwhile.
    left: u64,
    /// Not fetched, or not removed.
    failed: u64,
    /// Failures since the last object that was fetched.
    in_a_row: u32,
}

/// What became of one object.
enum Fate {
    Replayed,
    Removed,
    Left,
    Gone,
    /// It is not known what becomes of its records.
    Undecided,
}

impl Replay {
    pub(super) async fn work_off_objects(
        &mut self,
        state: &State,
        capturer: &Capturer,
        location: Location,
        remove: bool,
    ) -> Result<(), CliError> {
        let bucket = Bucket::connect(state, location).await;
        let mut counts = Counts::default();
        let ended = self.work_off_listing(&bucket, capturer, remove, &mut counts).await;
        let Counts { replayed, removed, left, failed, .. } = counts;
        let place = bucket.location();
        output::note(&format!(
            "{place}: {replayed} objects replayed, {removed} removed, {left} left, {failed} failed\n"
        ));
        ended?;
        counts.end(place)
    }

    async fn work_off_listing(
        &mut self,
        bucket: &Bucket,
        capturer: &Capturer,
        remove: bool,
        counts: &mut Counts,
    ) -> Result<(), CliError> {
        let mut page = bucket.list(None).await?;
        loop {
            for key in page.keys {
                match self.work_off_object(bucket, &key, capturer, remove).await {
                    Ok(fate) => counts.note(&fate),
                    Err(error) => {
                        tracing::error!(hint = error.hint(), "{error}");
                        counts.failed += 1;
                        counts.in_a_row += 1;
                        if counts.in_a_row >= MOST_FAILURES {
                            return Err(error);
                        }
                    }
                }
                if self.is_over() {
                    return Ok(());
                }
            }
            let Some(next) = page.next else { return Ok(()) };
            page = bucket.list(Some(next)).await?;
        }
    }

    /// # Errors
    /// The object cannot be fetched or removed.
    async fn work_off_object(
        &mut self,
        bucket: &Bucket,
        key: &str,
        capturer: &Capturer,
        remove: bool,
    ) -> Result<Fate, CliError> {
        let address = bucket.address(key);
        let cancel = self.cancel.clone();
        let fetched = tokio::select! {
            fetched = bucket.fetch(key) => fetched?,
            () = cancel.cancelled() => return Ok(Fate::Undecided),
        };
        let Some(fetched) = fetched else {
            // Another replay, or a rule of the bucket, has removed it.
            tracing::info!(object = address, "an object was removed after it was listed");
            return Ok(Fate::Gone);
        };
        let event = match event_in(&fetched.text, &self.tables) {
            Ok(event) => event,
            Err(problem) => {
                let hint = "the object was kept; move it away, or correct the prefix, the configuration or --source";
                tracing::error!(hint, "{address}: {problem}");
                return Ok(Fate::Left);
            }
        };
        let undecided = self.undecided;
        let applied = self.apply_piece(&address, &Piece::of_text(event), capturer).await;
        // Only what is decided may be removed.
        while self.take_one().await.is_some() {}
        let unreadable = match applied {
            Ok(applied) => applied.unreadable,
            Err(error) => {
                tracing::error!(hint = error.hint(), "{error}");
                return Ok(Fate::Left);
            }
        };
        if self.undecided > undecided || self.is_over() {
            return Ok(Fate::Undecided);
        }
        if unreadable > 0 {
            let hint = "their dead letters do not name the items, so the object is kept";
            tracing::error!(hint, "{address}: {unreadable} records cannot be read");
            return Ok(Fate::Left);
        }
        if !remove {
            return Ok(Fate::Replayed);
        }
        if bucket.remove(key, &fetched.tag).await? { Ok(Fate::Removed) } else { Ok(Fate::Left) }
    }
}

// === impl Counts ===

impl Counts {
    fn note(&mut self, fate: &Fate) {
        self.in_a_row = 0;
        match fate {
            Fate::Replayed => self.replayed += 1,
            Fate::Removed => {
                self.replayed += 1;
                self.removed += 1;
            }
            Fate::Left => self.left += 1,
            Fate::Gone | Fate::Undecided => {}
        }
    }

    /// An error where some could not be taken, or were not to be.
    fn end(self, location: &Location) -> Result<(), CliError> {
        let hint = "see the lines above for the reasons, then run this again";
        if self.failed > 0 {
            let message = format!("{} objects of {location} could not be fetched or removed", self.failed);
            return Err(CliError::new(Exit::Unreachable, message).with_hint(hint));
        }
        if self.left > 0 {
            let message = format!("{} objects of {location} were kept", self.left);
            return Err(CliError::new(Exit::DeadLetters, message).with_hint(hint));
        }
        Ok(())
    }
}

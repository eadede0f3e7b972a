//! Objects of S3, one after the other.
//!
//! What cannot be read as captured records stays where it is and stops nobody else. What all of whose records have an
//! outcome is removed where that is asked for: their items are in the index, or dead letters of the store.

use streamdex_config::Config;

use super::{Found, Replay};
use crate::bucket::{Bucket, Fetched, Location};
use crate::captured::Capturer;
use crate::exit::{CliError, Exit};
use crate::input::Input;
use crate::output;

/// What became of the objects.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    replayed: u64,
    removed: u64,
    refused: u64,
}

impl Replay {
    pub(super) async fn work_off_objects(
        &mut self,
        config: &Config,
        capturer: &Capturer,
        location: Location,
        remove: bool,
    ) -> Result<(), CliError> {
        let bucket = Bucket::connect(&config.state, location).await;
        let mut counts = Counts::default();
        let mut page = bucket.list(None).await?;
        loop {
            for key in page.keys {
                self.work_off_object(&bucket, &key, capturer, remove, &mut counts).await?;
                if self.is_over() {
                    return Ok(());
                }
            }
            let Some(next) = page.next else { break };
            page = bucket.list(Some(next)).await?;
        }
        counts.end(bucket.location())
    }

    async fn work_off_object(
        &mut self,
        bucket: &Bucket,
        key: &str,
        capturer: &Capturer,
        remove: bool,
        counts: &mut Counts,
    ) -> Result<(), CliError> {
        let Some(Fetched { file, tag }) = bucket.fetch(key).await? else {
            // Another replay, or a rule of the bucket, has removed it.
            tracing::info!(object = bucket.address(key), "an object is gone since it was listed");
            return Ok(());
        };
        let undecided = self.undecided;
        let input = Input::of_file(&bucket.address(key), file);
        let found = match input {
            Ok(input) => self.apply(input, capturer).await,
            Err(error) => Err(error),
        };
        // Only what is decided may be removed.
        while self.take_one().await.is_some() {}
        match found {
            Ok(Found::Records) if self.undecided == undecided && self.fault.is_none() => counts.replayed += 1,
            Ok(Found::Records | Found::Unread) => return Ok(()),
            Ok(Found::Nothing) => {
                tracing::error!("{}: no records", bucket.address(key));
                counts.refused += 1;
                return Ok(());
            }
            Err(error) => {
                tracing::error!(hint = error.hint(), "{error}");
                counts.refused += 1;
                return Ok(());
            }
        }
        if remove && bucket.remove(key, &tag).await? {
            counts.removed += 1;
        }
        Ok(())
    }
}

// === impl Counts ===

impl Counts {
    /// Says what became of them; an error where some were refused.
    fn end(self, location: &Location) -> Result<(), CliError> {
        let Counts { replayed, removed, refused } = self;
        output::note(&format!("{location}: {replayed} objects replayed, {removed} removed, {refused} refused\n"));
        if refused == 0 {
            return Ok(());
        }
        let message = format!("{refused} objects of {location} hold no records that can be read, and stay there");
        Err(CliError::new(Exit::DeadLetters, message)
            .with_hint("the lines above say why; move them away, or correct the configuration and run this again"))
    }
}

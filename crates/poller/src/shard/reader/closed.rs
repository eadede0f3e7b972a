//! Decides whether a shard is read to its end: it is closed, or has no more records at present.

use std::ops::ControlFlow;

use streamdex_dynamodb::AwsError;
use tokio::time::{Instant, timeout};

use super::{Reader, SIGN_OF_LIFE};
use crate::pace::Polled;
use crate::shard::read::Read;

impl Reader<'_> {
    /// The answers agree that nothing more comes. They are believed when the shard is closed as well, by any sign of that
    /// which was there before the last of them was `asked` for: it takes no more records then.
    pub(super) async fn check_whether_closed(&mut self, asked: Instant) -> ControlFlow<Read, Polled> {
        if self.job.activity.is_closed_at(asked) {
            return ControlFlow::Break(Read::Drained);
        }
        match self.has_a_child().await {
            Ok(true) if self.job.activity.is_closed_at(asked) => return ControlFlow::Break(Read::Drained),
            Ok(false) if self.job.activity.may_be_closed_at(asked) => return ControlFlow::Break(Read::Drained),
            // Something may have been written between the answer and the end. One more answer says.
            Ok(true) => return ControlFlow::Continue(Polled::FullPage),
            // An ending number, or a stream that is switched off, shows in a listing.
            Ok(false) => self.shared.wants_listing.notify_one(),
            Err(error) => {
                self.ending.is_unknown(Instant::now());
                self.shared.board.error(&self.job.shard, error.to_string(), error.hint());
                return ControlFlow::Continue(Polled::Failed);
            }
        }
        self.ending.is_open(Instant::now());
        self.note_empty_words("no next iterator, though the shard is open");
        // A listing that was begun since the answers say so would show an ending number.
        let listed = self.ending.since().is_some_and(|since| self.job.activity.was_listed_after(since));
        let at_end = self.job.end.is_some() && self.present_end.is_reached() && listed;
        if at_end { self.end_if_open(Polled::Empty).await } else { ControlFlow::Continue(Polled::Empty) }
    }

    /// `--until-end`: an open shard ends here. It was open at the start, or a listing had shown it as closed, so that its
    /// children hold nothing that was written before the start.
    pub(super) async fn end_if_open(&mut self, polled: Polled) -> ControlFlow<Read, Polled> {
        if let Err(error) = self.has_a_child().await {
            self.shared.board.error(&self.job.shard, error.to_string(), error.hint());
            return ControlFlow::Continue(Polled::Failed);
        }
        self.shared.listed.wait().await;
        self.job.activity.note();
        if self.job.activity.is_closed() { ControlFlow::Continue(polled) } else { ControlFlow::Break(Read::AtEnd) }
    }

    /// Most shards end by having children, and this is one call.
    async fn has_a_child(&self) -> Result<bool, AwsError> {
        let turn = self.shared.describe_turn.wait();
        tokio::pin!(turn);
        // Many can wait for their turns: that is no sign of a task that hangs.
        while timeout(SIGN_OF_LIFE, &mut turn).await.is_err() {
            self.job.activity.note();
        }
        self.shared.contact.stream_asked();
        let children = self.shared.source.children(&self.job.shard).await;
        self.job.activity.note();
        if let Err(error) = &children {
            self.shared.contact.stream_refused(error.fault());
        }
        let children = children?;
        self.shared.contact.stream_answered();
        let has_one = children.iter().any(|child| child.parent.as_ref() == Some(&self.job.shard));
        if has_one {
            self.job.activity.close();
        }
        Ok(has_one)
    }
}

//! One shard: read ahead by one page, write, checkpoint.
//!
//! Reading and writing are two halves of one task. The reader never asks for more than one page beyond those that are
//! being written. That is one page, unless an index is held back: then more are taken up behind it, for the sake of other
//! indices, up to a bound. The writer acknowledges page by page, in order, and checkpoints about once a second, and always
//! at the end.

mod activity;
mod budget;
mod ending;
mod in_hand;
mod job;
mod present_end;
mod read;
mod reader;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

pub(crate) use self::activity::Activity;
pub(crate) use self::budget::Budget;
pub(crate) use self::job::{Job, ShardEnd, Shared};
use self::reader::Reader;
use self::writer::Writer;

/// Reads a shard until it ends or is stopped.
pub(crate) async fn follow_shard(mut job: Job, shared: Arc<Shared>) -> ShardEnd {
    job.current_as_of = Some(shared.board.begin(&job.shard, job.parent.as_ref(), job.current_as_of));
    let _counted = CountedReader::new(&shared);
    until_its_end(&job, &shared).await
}

/// Counts a reader, however its task ends.
struct CountedReader<'a>(&'a Shared);

impl<'a> CountedReader<'a> {
    fn new(shared: &'a Shared) -> CountedReader<'a> {
        shared.readers.fetch_add(1, Ordering::Relaxed);
        CountedReader(shared)
    }
}

impl Drop for CountedReader<'_> {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn until_its_end(job: &Job, shared: &Shared) -> ShardEnd {
    tokio::select! {
        biased;
        // What is half done is left as it is: the next reader begins at the checkpoint.
        () = shared.tenure.over().cancelled() => ShardEnd::Dropped,
        () = job.kill.cancelled() => ShardEnd::Dropped,
        end = read_and_write(job, shared) => end,
    }
}

async fn read_and_write(job: &Job, shared: &Shared) -> ShardEnd {
    let mut writer = Writer::new(job, shared);
    let (pages, received) = mpsc::channel(1);
    // When the writer ends, for whatever reason, the reader has nothing left to do.
    let writer_done = shared.stop.child_token();
    let reader = Reader::new(job, shared, writer_done.clone());
    let write = async {
        let end = writer.run(received).await;
        writer_done.cancel();
        end
    };
    let ((), end) = Box::pin(async { tokio::join!(reader.run(pages), write) }).await;
    end
}

//! Writes beside a test.

use streamdex_testkit::workload::{RandomWriter, Written};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A [`RandomWriter`] at work.
pub(crate) struct Load {
    stop: oneshot::Sender<()>,
    task: JoinHandle<(RandomWriter, Written)>,
}

impl Load {
    pub(crate) fn start(mut writer: RandomWriter) -> Load {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let written = writer.write_until(async { drop(stopped.await) }).await;
            (writer, written)
        });
        Load { stop, task }
    }

    /// Waits for the write under way.
    pub(crate) async fn stop(self) -> (RandomWriter, Written) {
        let _ = self.stop.send(());
        self.task.await.unwrap()
    }
}

//! Background tasks of a command. If one of them ends or panics, the command ends.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};

use crate::exit::{CliError, Exit};

/// Tasks none of which is to end. They end when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Watched {
    /// Starts a task, named by what it does.
    pub(crate) fn spawn(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.names.insert(handle.id(), what);
    }

    /// Waits until one of them has ended; for ever, where there is none.
    pub(crate) async fn one_ended(&mut self) -> CliError {
        let (id, how) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, "has ended"),
            Some(Err(error)) => (error.id(), "has failed"),
            None => std::future::pending().await,
        };
        let what = self.names.remove(&id).unwrap_or("does something");
        let message = format!("the task that {what} {how}");
        let hint = "start it again: the work continues from the last checkpoint. Please report this with the log";
        CliError::new(Exit::Unreachable, message).with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_an_error_that_names_it() {
        let mut watched = Watched::default();
        watched.spawn("serves the probes", pending());
        watched.spawn("writes to OpenSearch", async {});
        let error = watched.one_ended().await;
        assert_eq!(error.to_string(), "the task that writes to OpenSearch has ended");
        assert_eq!(error.exit(), Exit::Unreachable);
        watched.spawn("shows the progress", async { panic!("a defect") });
        let error = watched.one_ended().await;
        assert_eq!(error.to_string(), "the task that shows the progress has failed");
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), watched.one_ended()).await;
        assert!(waiting.is_err(), "the others run on");
    }
}

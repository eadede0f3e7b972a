//! Signals that ask for a graceful stop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{CliError, Exit};

/// Cancels `stop` at SIGTERM or SIGINT. A second signal ends the process at once: what was not checkpointed is
/// read again at the next start.
///
/// The task that listens is the caller's; it never ends.
pub(crate) fn cancel_on_signals(
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + 'static, CliError> {
    let listen = |kind| {
        signal(kind).map_err(|error| CliError::new(Exit::Unreachable, "cannot listen for signals").caused_by(error))
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping");
        stop.cancel();
        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("stopped at once");
        std::process::exit(i32::from(Exit::Unreachable.code()));
    })
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

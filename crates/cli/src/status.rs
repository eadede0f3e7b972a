//! `streamdex status`: what the workers do.

mod fetch;
mod render;
#[cfg(test)]
mod samples;

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

use serde_json::Value;
use streamdex_poller::observe::Report;
use tokio::time::{MissedTickBehavior, interval};
use url::Url;

use self::fetch::get;
pub(crate) use self::fetch::parse_url;
use crate::args::{Global, StatusArgs};
use crate::exit::{CliError, Exit};
use crate::output;

const AGAIN: Duration = Duration::from_secs(2);
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &StatusArgs) -> Result<Exit, CliError> {
    if arguments.live {
        get(&arguments.url, "livez").await?;
        return Ok(Exit::Done);
    }
    let show = || async {
        let body = get(&arguments.url, "status").await?;
        of_worker(global, &arguments.url, &body)
    };
    if arguments.watch { watch(show).await } else { output::print(&show().await?).map(|()| Exit::Done) }
}

/// What a worker says of itself.
fn of_worker(global: &Global, url: &Url, body: &str) -> Result<String, CliError> {
    let foreign = |error: serde_json::Error| {
        CliError::new(Exit::Unreachable, format!("{url} answers, but not as streamdex does"))
            .caused_by(error)
            .with_hint("give the address that `streamdex run --listen` has")
    };
    if global.json {
        // As it is: another version may know more.
        let report: Value = serde_json::from_str(body).map_err(foreign)?;
        return Ok(format!("{report}\n"));
    }
    let report: Report = serde_json::from_str(body).map_err(foreign)?;
    Ok(render::report(&report))
}

/// Shows it anew every two seconds, until Ctrl-C. A worker that does not answer may do so again.
async fn watch<F>(show: impl Fn() -> F) -> Result<Exit, CliError>
where
    F: Future<Output = Result<String, CliError>>,
{
    let mut ticks = interval(AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
    let shown = async {
        loop {
            ticks.tick().await;
            let text = match show().await {
                Ok(text) => text,
                Err(error) if error.exit() == Exit::Unreachable => format!("{error}\n"),
                Err(error) => return Err(error),
            };
            output::print(&format!("{clear}{text}"))?;
        }
    };
    tokio::select! {
        ended = shown => ended,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
    }
}

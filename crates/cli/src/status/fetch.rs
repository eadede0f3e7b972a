//! Asks a worker.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use streamdex_aws::root_cause;
use tokio::time::timeout;
use url::Url;

use crate::exit::{CliError, Exit};

const DEADLINE: Duration = Duration::from_secs(5);
/// A worker with tens of thousands of shards says less.
const LARGEST: usize = 64 << 20;

/// The body that a worker answers with.
///
/// # Errors
/// It does not answer within 5 s, or refuses: the message has what it says.
pub(super) async fn get(url: &Url, path: &str) -> Result<String, CliError> {
    let unreachable = |what: String| {
        CliError::new(Exit::Unreachable, format!("{url}: {what}"))
            .with_hint("check that `streamdex run` listens there: --listen, STREAMDEX_LISTEN or http.listen")
    };
    let (status, body) = match timeout(DEADLINE, ask(url, path)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(unreachable(error)),
        Err(_) => return Err(unreachable(format!("no answer within {} s", DEADLINE.as_secs()))),
    };
    if status == 200 {
        return Ok(body);
    }
    let reasons = body.lines().take(5).collect::<Vec<_>>().join("; ");
    Err(CliError::new(Exit::Unreachable, format!("{url}{path} answers with status {status}: {reasons}")))
}

async fn ask(url: &Url, path: &str) -> Result<(u16, String), String> {
    let address = url.join(path).map_err(|error| error.to_string())?;
    let address = address.as_str().parse().map_err(|error| format!("{error}"))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.get(address).await.map_err(|error| root_cause(&error).to_string())?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

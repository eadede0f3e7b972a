//! A minimal HTTP health check of engines, without a client library or a runtime.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::error::EngineError;
use crate::process::Supervised;

const START_LIMIT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Status line and the rest of an answer to `GET path`; `None` while nobody answers.
pub(super) fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT).ok()?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    // HTTP/1.0: the server closes the connection at the end of the answer.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

/// Blocks until `is_up` holds, or says why it never will.
pub(super) fn wait_until_up(
    engine: &str,
    process: &mut Supervised,
    mut is_up: impl FnMut() -> bool,
) -> Result<(), EngineError> {
    let deadline = Instant::now() + START_LIMIT;
    let failed = |detail: String| EngineError::Start { engine: engine.to_owned(), detail };
    loop {
        let exit = process.try_wait().map_err(|error| EngineError::io("waiting for an engine", &error))?;
        if let Some(status) = exit {
            return Err(failed(format!("ended with {status}\n{}", process.log_tail(20))));
        }
        if is_up() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let seconds = START_LIMIT.as_secs();
            return Err(failed(format!("no answer within {seconds} s\n{}", process.log_tail(20))));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

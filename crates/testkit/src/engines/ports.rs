//! Ports that two test processes never take at once.
//!
//! A port asked from the system can be given to an outgoing connection while an engine restarts, so the ports come
//! from ranges below the ephemeral ones. A locked file per port keeps other processes of this kind away from it;
//! a bind shows whether anybody else has it.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::ops::RangeInclusive;

use super::error::EngineError;

/// Search engines: the runner of OpenSearch ends without a word above 9299.
pub(super) const SEARCH_PORTS: RangeInclusive<u16> = 9201..=9299;
/// Emulated DynamoDB, and other services of AWS.
pub(super) const DYNAMODB_PORTS: RangeInclusive<u16> = 8101..=8199;

/// A port that stays ours until this value is dropped.
#[derive(Debug)]
pub(super) struct ReservedPort {
    number: u16,
    _lock: File,
}

impl ReservedPort {
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Reserves a free port of the range.
    pub(super) fn reserve(range: RangeInclusive<u16>) -> Result<Self, EngineError> {
        let folder = env::temp_dir().join("streamdex-test-ports");
        fs::create_dir_all(&folder).map_err(|error| EngineError::io("making the folder of port locks", &error))?;
        for number in range.clone() {
            let Ok(lock) = File::create(folder.join(number.to_string())) else {
                continue;
            };
            if lock.try_lock().is_ok() && is_free(number) {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(EngineError::Io {
            what: "looking for a free port".to_owned(),
            detail: format!("all of {} to {} are taken", range.start(), range.end()),
        })
    }
}

fn is_free(port: u16) -> bool {
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    // A machine without IPv6 cannot bind there, taken or not.
    let six_taken = matches!(TcpListener::bind((Ipv6Addr::LOCALHOST, port)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse);
    four.is_ok() && !six_taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_differ() {
        let one = ReservedPort::reserve(DYNAMODB_PORTS).unwrap();
        let two = ReservedPort::reserve(DYNAMODB_PORTS).unwrap();
        assert_ne!(one.number(), two.number());
    }
}

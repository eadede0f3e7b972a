//! The written records: each is one insert of a session, with about 1 KB of new image and a key of its own.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use streamdex_testkit::workload::{EVENT_TIME, Sessions, StreamRecord};

/// Captured records in a file.
pub(crate) struct Records {
    pub(crate) documents: u32,
    /// One stream record a line.
    pub(crate) path: PathBuf,
}

impl Records {
    /// Writes [`inserts`] into the folder.
    pub(crate) fn write(folder: &Path, documents: u32) -> anyhow::Result<Records> {
        let path = folder.join("records.ndjson");
        let mut file = BufWriter::new(std::fs::File::create(&path)?);
        for record in inserts(documents) {
            writeln!(file, "{}", record.to_json())?;
        }
        file.flush()?;
        Ok(Records { documents, path })
    }
}

/// The same records each time.
pub(crate) fn inserts(count: u32) -> impl Iterator<Item = StreamRecord> {
    let mut sessions = Sessions::new(7, EVENT_TIME);
    (0..count).map(move |number| StreamRecord {
        event_name: "INSERT",
        seconds: EVENT_TIME + u64::from(number) / 1000,
        position: 1_000_000 + u64::from(number),
        old: None,
        new: Some(sessions.item(Sessions::key_of(number % 5000, number))),
    })
}

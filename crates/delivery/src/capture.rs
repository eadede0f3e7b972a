//! JSON texts with stream records mapped into pages, each under the routes of the source that it came from.
//!
//! What the Lambda function, `replay` and `map` share.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use streamdex_config::{Config, StreamArn};
use streamdex_mapping::event::{Captured, CapturedError, read_captured, read_item};
use streamdex_mapping::{Address, Change, Image, MapError, Mapper, RecordError, RecordProblem, Trust};

use crate::page::Page;
use crate::proof::KeyProof;

/// Chooses the source of a record, and maps it.
#[derive(Debug)]
pub struct Capturer {
    /// By the source's place in the configuration.
    sources: Vec<Followed>,
    /// Goes before what the records say.
    forced: Option<usize>,
}

#[derive(Debug)]
struct Followed {
    table: String,
    mapper: Arc<Mapper>,
    proof: KeyProof,
}

/// The records of one or more texts, a page for each source that has any.
#[derive(Debug, Default)]
pub struct Capture {
    /// By the source's place in the configuration.
    pub pages: BTreeMap<usize, Page>,
    /// The source of each record, in the order of the records.
    pub order: Vec<usize>,
    /// Items out of `get-item` and `scan` output.
    pub items: Vec<MappedItem>,
    /// What the records say of where they come from.
    pub origin: Origin,
    /// The stream of the record before, and its source: the next one is mostly of the same.
    last: Option<(Box<str>, usize)>,
}

/// What readable records say of the stream that they come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    stream: Option<Box<str>>,
    doubtful: bool,
}

/// An item that is no change: it has no version, so it can be shown and not be sent.
pub type MappedItem = Result<Option<(Address, Vec<u8>)>, String>;

/// Why a text cannot be taken. Nothing of it is to be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// It is of no known form.
    #[error(transparent)]
    Form(#[from] CapturedError),
    /// A record names a table that is no source.
    #[error("a record names table {table:?}, which is no source of this configuration (its tables: {known})")]
    UnknownTable {
        /// The table.
        table: String,
        /// The tables of the configuration.
        known: String,
    },
    /// A record names no table, and there are several sources.
    #[error("a record does not say which table it comes from, and there are several sources")]
    NoTable,
    /// The configuration does not fit the records.
    #[error(transparent)]
    Configuration(MapError),
}

// === impl Capturer ===

impl Capturer {
    /// For the sources of `config`.
    pub fn new(config: &Config) -> Capturer {
        let followed = |source: &streamdex_config::Source| Followed {
            table: source.table.table_name().to_owned(),
            mapper: Arc::new(Mapper::new(source.routes.clone())),
            proof: KeyProof::default(),
        };
        Capturer { sources: config.sources.iter().map(followed).collect(), forced: None }
    }

    /// Takes all records for those of one source, by its place, whatever they say.
    #[must_use]
    pub fn forced(mut self, source: usize) -> Capturer {
        self.forced = Some(source);
        self
    }

    /// The mapper of a source, by its place.
    pub fn mapper(&self, source: usize) -> Option<&Arc<Mapper>> {
        self.sources.get(source).map(|source| &source.mapper)
    }

    /// Maps the records in `text` and adds them to `capture`. Where the text is an on-failure record, the
    /// event that it carries is given back, to be read in turn. When all texts are read, [`Capturer::check`] tells whether
    /// anything of them may be sent.
    ///
    /// # Errors
    /// See [`CaptureError`].
    pub fn read<'t>(
        &self,
        text: &'t str,
        trust: Trust,
        capture: &mut Capture,
    ) -> Result<Option<Cow<'t, str>>, CaptureError> {
        let mut problem = None;
        let captured = read_captured(text, |_, record| {
            if problem.is_none() {
                problem = self.add(record, trust, capture).err();
            }
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
        match captured? {
            Captured::Records => Ok(None),
            Captured::OnFailure(event) => Ok(Some(event)),
            Captured::Items(items) => {
                for raw in items {
                    capture.items.push(self.item(read_item(raw)));
                }
                Ok(None)
            }
        }
    }

    /// Adds a text that is no record at all; it is known by its digest.
    ///
    /// # Errors
    /// None: a record that cannot be read is refused whatever the configuration says.
    pub fn unreadable(&self, text: &str, reason: RecordProblem, capture: &mut Capture) -> Result<(), CaptureError> {
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let digest = Some(Box::new(digest));
        let error = RecordError { sequence: None, created: None, keys: None, stream_arn: None, digest, reason };
        self.add(Err(error), Trust::InOrder, capture)
    }

    /// Whether the configuration fits the records, which were read together.
    ///
    /// # Errors
    /// See [`CaptureError::Configuration`].
    pub fn check(&self, capture: &Capture) -> Result<(), CaptureError> {
        for (place, page) in &capture.pages {
            let Some(source) = self.sources.get(*place) else { continue };
            page.check_keys(&source.proof).map_err(CaptureError::Configuration)?;
        }
        Ok(())
    }

    fn item(&self, item: Result<Image<'_>, RecordProblem>) -> MappedItem {
        let item = item.map_err(|problem| problem.to_string())?;
        let source = self.choose(None).map_err(|problem| problem.to_string())?;
        let mapper = self.mapper(source).ok_or("no such source")?;
        mapper.map_item(&item).map_err(|error| error.to_string())
    }

    fn add(
        &self,
        record: Result<&Change<'_>, RecordError>,
        trust: Trust,
        capture: &mut Capture,
    ) -> Result<(), CaptureError> {
        let arn = match &record {
            Ok(change) => change.stream_arn.as_deref(),
            Err(error) => error.stream_arn.as_deref(),
        };
        let known = capture.last.as_ref().filter(|(last, _)| arn == Some(&**last)).map(|(_, source)| *source);
        let source = match known.map_or_else(|| self.choose(arn), Ok) {
            // A record that cannot be read belongs to where the one before it came from.
            Err(_) if record.is_err() => capture.order.last().copied().unwrap_or_default(),
            source => source?,
        };
        if let (Some(arn), None) = (arn, known) {
            capture.last = Some((arn.into(), source));
        }
        if record.is_ok() {
            capture.origin.note(arn);
        }
        let Some(mapper) = self.mapper(source) else { return Ok(()) };
        capture.pages.entry(source).or_default().add(mapper, record, trust);
        capture.order.push(source);
        Ok(())
    }

    /// The forced source, else that of the table in the record's stream ARN, else the only one.
    fn choose(&self, arn: Option<&str>) -> Result<usize, CaptureError> {
        if let Some(forced) = self.forced {
            return Ok(forced);
        }
        let Some(stream) = arn.and_then(StreamArn::parse) else {
            return if self.sources.len() == 1 { Ok(0) } else { Err(CaptureError::NoTable) };
        };
        let table = stream.table_name();
        self.sources.iter().position(|source| source.table == table).ok_or_else(|| {
            let known: Vec<&str> = self.sources.iter().map(|source| source.table.as_str()).collect();
            CaptureError::UnknownTable { table: table.to_owned(), known: known.join(", ") }
        })
    }
}

// === impl Origin ===

impl Origin {
    /// The ARN of the one stream that every readable record names.
    pub fn sole_stream(&self) -> Option<&str> {
        self.stream.as_deref().filter(|_| !self.doubtful)
    }

    /// Whether some readable record names no stream, or another one than the others.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    fn note(&mut self, arn: Option<&str>) {
        match (arn, &self.stream) {
            (Some(arn), None) => self.stream = Some(arn.into()),
            (Some(arn), Some(known)) => self.doubtful |= **known != *arn,
            (None, _) => self.doubtful = true,
        }
    }
}

// === impl CaptureError ===

impl CaptureError {
    /// What to do about it, in one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            CaptureError::Form(error) => error.hint(),
            CaptureError::UnknownTable { .. } => {
                "add a [[source]] for this table to the configuration, or take its stream away from this function"
            }
            CaptureError::NoTable => "give records with their eventSourceARN",
            CaptureError::Configuration(error) => error.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        source = [{ name = "a", table = "orders" }, { name = "b", table = "carts" }]
        opensearch = { url = "http://127.0.0.1:9200" }
        route = [{ source = "a", index = "orders" }, { source = "b", index = "carts" }]
    "#;

    fn record(table: &str) -> String {
        format!(
            r#"{{"eventName":"REMOVE","eventSourceARN":"arn:aws:dynamodb:eu-west-1:0:table/{table}/stream/2026-01-01T00:00:00.000",
            "dynamodb":{{"ApproximateCreationDateTime":1700000000,"Keys":{{"pk":{{"S":"a"}}}},"SequenceNumber":"7"}}}}"#
        )
    }

    fn capture(text: &str) -> Result<Capture, CaptureError> {
        let config = Config::parse(CONFIG, std::path::Path::new(""), &|_| None).unwrap().config;
        let mut capture = Capture::default();
        Capturer::new(&config).read(text, Trust::InOrder, &mut capture)?;
        Ok(capture)
    }

    #[test]
    fn each_record_goes_to_the_source_of_its_table() {
        let (carts, orders) = (record("carts"), record("orders"));
        let found = capture(&format!(r#"{{"Records":[{carts},5,{orders}]}}"#)).unwrap();
        // What cannot be read stays beside its neighbour.
        assert_eq!(found.order, [1, 1, 0]);
        assert_eq!((found.pages[&0].len(), found.pages[&1].len()), (1, 2));
        assert_eq!(found.origin.sole_stream(), None);
        let one = capture(&format!("[{carts},6]")).unwrap();
        assert!(one.origin.sole_stream().unwrap().contains("table/carts/stream/"));
    }

    #[test]
    fn an_unknown_table_is_named_with_the_known_ones() {
        let error = capture(&record("ExampleTableWithTimeStream")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("ExampleTableWithTimeStream") && text.contains("orders, carts"), "{text}");
        let nameless = record("x").replace("eventSourceARN", "other");
        assert!(matches!(capture(&nameless), Err(CaptureError::NoTable)));
    }

    #[test]
    fn an_on_failure_record_gives_its_event_back() {
        let config = Config::parse(CONFIG, std::path::Path::new(""), &|_| None).unwrap().config;
        let text = r#"{"payload":"{\"Records\":[]}"}"#;
        let event = Capturer::new(&config).read(text, Trust::InOrder, &mut Capture::default()).unwrap();
        assert_eq!(event.as_deref(), Some(r#"{"Records":[]}"#));
    }
}

//! JSON texts with stream records mapped into pages, each under the routes of the source that it came from.
//!
//! What the Lambda function, `replay` and `map` share.

mod error;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use streamdex_config::{Arn, Config};
use streamdex_mapping::event::{Captured, CapturedError, read_captured, read_item};
use streamdex_mapping::{Address, Change, Fetch, FetchVersion, Image, Key, Mapper, RecordError, RecordProblem, Trust};

pub use self::error::CaptureError;
use crate::page::Page;
use crate::proof::KeyProof;
use crate::screen::{Screen, Screened, Seen, Unscreened};
use crate::view::{OldImages, ViewMismatch};

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
    /// The table's key attributes; none where they are not known.
    keys: Vec<String>,
    old_images: OldImages,
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
    /// The first route that the stream of some record cannot serve, as the record names its view type. Records whose
    /// images are to be written are refused for it; where the items are read, the caller decides.
    pub mismatch: Option<ViewMismatch>,
    /// The sources whose view type serves their routes.
    served: BTreeSet<usize>,
}

/// The stream that readable records come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    stream: Option<Box<str>>,
    doubtful: bool,
}

/// An item that is no change: it has no version, so it can be shown and not be sent.
pub type MappedItem = Result<Option<(Address, Bytes)>, String>;

// === impl Capturer ===

impl Capturer {
    /// For the sources of `config`.
    pub fn new(config: &Config) -> Capturer {
        let followed = |source: &streamdex_config::Source| Followed {
            table: source.table.table_name().to_owned(),
            mapper: Arc::new(Mapper::new(source.routes.clone())),
            proof: KeyProof::default(),
            keys: Vec::new(),
            old_images: OldImages::new(&source.routes),
        };
        Capturer { sources: config.sources.iter().map(followed).collect(), forced: None }
    }

    /// Takes all records for those of one source, by its place, whatever they say.
    #[must_use]
    pub fn forced(mut self, source: usize) -> Capturer {
        self.forced = Some(source);
        self
    }

    /// The key attributes of a source's table, by its place: items of it are read by their keys then.
    pub fn set_keys(&mut self, source: usize, keys: Vec<String>) {
        if let Some(source) = self.sources.get_mut(source) {
            source.keys = keys;
        }
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
        self.read_screened(text, trust, &Unscreened, capture)
    }

    /// Reads like [`Capturer::read`], but maps only the chosen records.
    ///
    /// # Errors
    /// See [`CaptureError`].
    pub fn read_screened<'t>(
        &self,
        text: &'t str,
        trust: Trust,
        screen: &dyn Screen,
        capture: &mut Capture,
    ) -> Result<Option<Cow<'t, str>>, CaptureError> {
        let mut problem = None;
        let (mut elements, mut strangers) = (0_usize, 0_usize);
        let captured = read_captured(text, |_, record| {
            elements += 1;
            strangers += usize::from(matches!(&record, Err(error) if error.reason == RecordProblem::NoRecord));
            if problem.is_none() {
                problem = self.screened(record, trust, screen, capture).err();
            }
        });
        // The part before the fault proves nothing about the text.
        if let Err(error @ CapturedError::Json { .. }) = captured {
            return Err(error.into());
        }
        // A stranger among records is one bad record; strangers alone are the input of something else.
        if elements > 0 && strangers == elements {
            return Err(CaptureError::NoRecords);
        }
        if let Some(problem) = problem {
            return Err(problem);
        }
        let captured = match captured {
            Err(CapturedError::Unknown) => bare_item(text).ok_or(CapturedError::Unknown)?,
            captured => captured?,
        };
        match captured {
            Captured::Records => Ok(None),
            Captured::OnFailure(event) => Ok(Some(event)),
            Captured::Items(items) => {
                for item in items {
                    let item = read_item(item);
                    if trust != Trust::ReadItem || !self.read_by_key(&item, capture) {
                        capture.items.push(self.item(item));
                    }
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
        self.screened(Err(error), Trust::InOrder, &Unscreened, capture)
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

    /// Adds the read of an item that is no change; says whether its key is known.
    fn read_by_key(&self, item: &Result<Image<'_>, RecordProblem>, capture: &mut Capture) -> bool {
        let (Ok(item), Ok(place)) = (item, self.choose(None)) else { return false };
        let Some(source) = self.sources.get(place).filter(|source| !source.keys.is_empty()) else { return false };
        let Some(key) = Key::of_item(item, &source.keys) else { return false };
        let fetch = Fetch { key, version: FetchVersion::OfRead, addresses: Vec::new() };
        capture.pages.entry(place).or_default().add_read(fetch, None);
        capture.order.push(place);
        true
    }

    fn item(&self, item: Result<Image<'_>, RecordProblem>) -> MappedItem {
        let item = item.map_err(|problem| problem.to_string())?;
        let source = self.choose(None).map_err(|problem| problem.to_string())?;
        let mapper = self.mapper(source).ok_or("no such source")?;
        mapper.map_item(&item).map_err(|error| error.to_string())
    }

    fn screened(
        &self,
        record: Result<&Change<'_>, RecordError>,
        trust: Trust,
        screen: &dyn Screen,
        capture: &mut Capture,
    ) -> Result<(), CaptureError> {
        let seen = Seen(&record);
        let arn = seen.stream_arn();
        let source = match self.choose(arn) {
            // A record that cannot be read belongs to where the one before it came from.
            Err(_) if record.is_err() => capture.order.last().copied().unwrap_or_default(),
            source => source?,
        };
        if record.is_ok() {
            capture.origin.note(arn);
        }
        let Some(followed) = self.sources.get(source) else { return Ok(()) };
        if let Ok(change) = record {
            capture.judge_view(source, followed, change, trust)?;
        }
        match screen.screen(&seen) {
            Screened::Map => followed.map(record, trust, capture.pages.entry(source).or_default()),
            Screened::Decided(outcome) => capture.pages.entry(source).or_default().add_decided(&seen, outcome),
            Screened::Postpone => capture.pages.entry(source).or_default().add_postponed(&seen),
        }
        capture.order.push(source);
        Ok(())
    }

    /// The forced source, else the source of the table in the record's stream ARN, else the only source.
    fn choose(&self, arn: Option<&str>) -> Result<usize, CaptureError> {
        if let Some(forced) = self.forced {
            return Ok(forced);
        }
        let Some((table, _)) = arn.and_then(Arn::parse).and_then(Arn::stream) else {
            return if self.sources.len() == 1 { Ok(0) } else { Err(CaptureError::NoTable) };
        };
        self.sources.iter().position(|source| source.table == table).ok_or_else(|| {
            let known: Vec<&str> = self.sources.iter().map(|source| source.table.as_str()).collect();
            CaptureError::UnknownTable { table: table.to_owned(), known: known.join(", ") }
        })
    }
}

/// An item without anything around it: an object of nothing but attributes.
fn bare_item(text: &str) -> Option<Captured<'_>> {
    let item = read_item(text).ok()?;
    (item.problem().is_none() && !item.is_empty()).then(|| Captured::Items(vec![text]))
}

// === impl Followed, Capture ===

impl Followed {
    fn map(&self, record: Result<&Change<'_>, RecordError>, trust: Trust, page: &mut Page) {
        let missing = match record {
            Ok(change) if trust == Trust::InOrder => self.old_images.missing(&self.mapper, change),
            _ => None,
        };
        page.add(&self.mapper, missing.map_or(record, Err), trust);
    }
}

impl Capture {
    fn judge_view(
        &mut self,
        source: usize,
        followed: &Followed,
        change: &Change<'_>,
        trust: Trust,
    ) -> Result<(), CaptureError> {
        // A stream has one view type.
        if self.served.contains(&source) || change.view.is_none() {
            return Ok(());
        }
        match followed.old_images.mismatch(change) {
            Some(mismatch) if trust == Trust::InOrder => return Err(CaptureError::View(mismatch)),
            Some(mismatch) => self.mismatch = self.mismatch.take().or(Some(mismatch)),
            None => drop(self.served.insert(source)),
        }
        Ok(())
    }
}

// === impl Origin ===

impl Origin {
    /// The ARN of the one stream that every readable record names.
    pub fn sole_stream(&self) -> Option<&str> {
        self.stream.as_deref().filter(|_| !self.doubtful)
    }

    /// Whether a readable record names no stream, or a different one than the others.
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
    fn what_holds_no_stream_records_is_no_dead_letter() {
        let s3 = r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"object":{"key":"k"}}}"#;
        for text in
            [r#"[{"a":1},{"b":2}]"#, r#"{"Records":[{"a":1}]}"#, "[5,null]", &format!(r#"{{"Records":[{s3}]}}"#)]
        {
            assert!(matches!(capture(text), Err(CaptureError::NoRecords)), "{text}");
        }
        for text in [r#"{"a":1}"#, "5", r#"{"eventName":"INSERT"}"#] {
            assert!(matches!(capture(text), Err(CaptureError::Form(CapturedError::Unknown))), "{text}");
        }
        // Beside a record, and where only part of a record is broken, it is one bad record.
        let orders = record("orders");
        assert_eq!(capture(&format!(r#"[{orders},{{"a":1}}]"#)).unwrap().order, [0, 0]);
        assert_eq!(capture(r#"[{"dynamodb":5}]"#).unwrap().order, [0]);
        assert!(capture("[]").unwrap().order.is_empty());
    }

    #[test]
    fn an_item_alone_is_an_item() {
        let items = |text: &str| capture(text).map(|capture| capture.items.len());
        assert_eq!(items(r#"{"pk":{"S":"a"},"n":{"N":"1"}}"#).unwrap(), 1);
        for text in ["{}", r#"{"pk":"a"}"#, r#"{"pk":{"S":"a"},"n":1}"#, r#"{"pk":{"X":"a"}}"#, r#""pk""#] {
            assert!(items(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_on_failure_record_gives_its_event_back() {
        let config = Config::parse(CONFIG, std::path::Path::new(""), &|_| None).unwrap().config;
        let text = r#"{"payload":"{\"Records\":[]}"}"#;
        let event = Capturer::new(&config).read(text, Trust::InOrder, &mut Capture::default()).unwrap();
        assert_eq!(event.as_deref(), Some(r#"{"Records":[]}"#));
    }
}

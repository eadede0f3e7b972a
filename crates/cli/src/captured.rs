//! Captured records mapped into pages, each under the routes of the source that it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamdex_config::{Config, Source};
use streamdex_mapping::event::{Captured, CapturedError, read_captured, read_item};
use streamdex_mapping::{Address, Change, MapError, Mapper, RecordError, RecordProblem, Trust};
use streamdex_poller::page::Page;

use crate::exit::{CliError, Exit};
use crate::input::Piece;
use crate::settings;

/// Chooses the source of a record, and maps it.
pub(crate) struct Capturer<'c> {
    config: &'c Config,
    mappers: Vec<Arc<Mapper>>,
    /// `--source`, which goes before what the records say.
    forced: Option<usize>,
    trust: Trust,
}

/// The records of one piece, a page for each source that has any.
pub(crate) struct Pages {
    /// By the source's place in the configuration.
    pub(crate) pages: BTreeMap<usize, Page>,
    /// Items out of `get-item` and `scan` output.
    pub(crate) items: Vec<MappedItem>,
}

/// An item that is no change: it has no version, so it can be shown and not be sent.
pub(crate) type MappedItem = Result<Option<(Address, Vec<u8>)>, String>;

// === impl Capturer ===

impl<'c> Capturer<'c> {
    pub(crate) fn new(config: &'c Config, source: Option<&str>, trust: Trust) -> Result<Capturer<'c>, CliError> {
        let forced = match source {
            None => None,
            Some(name) => {
                settings::source(config, Some(name))?;
                config.sources.iter().position(|source| source.name == name)
            }
        };
        let mappers = config.sources.iter().map(|source| Arc::new(Mapper::new(source.routes.clone()))).collect();
        Ok(Capturer { config, mappers, forced, trust })
    }

    /// The mapper of a source, by its place.
    pub(crate) fn mapper(&self, source: usize) -> Option<&Arc<Mapper>> {
        self.mappers.get(source)
    }

    /// Maps what is in `piece`.
    ///
    /// # Errors
    /// The input is of no known form, a record names a table that is no source, or the configuration does
    /// not fit the records: nothing of the piece is to be sent.
    pub(crate) fn capture(&self, name: &str, piece: &Piece) -> Result<Pages, CliError> {
        let mut pages = Pages { pages: BTreeMap::new(), items: Vec::new() };
        match piece {
            Piece::Whole(text) => self.text(text, &mut pages).map_err(|problem| problem.at(name))?,
            Piece::Lines { first, text } => {
                for (offset, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                    let place = || format!("{name} line {}", first + offset);
                    match self.text(line, &mut pages) {
                        // One bad line is one bad record.
                        Err(Problem::Form(CapturedError::Json { line: at, column })) => {
                            self.unreadable(line, ("broken JSON", at, column), &mut pages);
                        }
                        Err(Problem::Form(CapturedError::Unknown)) => {
                            self.unreadable(line, ("unexpected structure", 1, 1), &mut pages);
                        }
                        read => read.map_err(|problem| problem.at(&place()))?,
                    }
                }
            }
        }
        Ok(pages)
    }

    fn text(&self, text: &str, pages: &mut Pages) -> Result<(), Problem> {
        let mut problem = None;
        let captured = read_captured(text, |_, record| {
            if problem.is_none() {
                problem = self.record(record, pages).err();
            }
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
        match captured.map_err(Problem::Form)? {
            Captured::Records => Ok(()),
            Captured::OnFailure(payload) => self.text(&payload, pages),
            Captured::Items(items) => {
                for raw in items {
                    pages.items.push(self.item(read_item(raw)));
                }
                Ok(())
            }
        }
    }

    /// A line that is no record at all; it is known by its digest.
    fn unreadable(&self, line: &str, (shape, at, column): (&'static str, usize, usize), pages: &mut Pages) {
        let reason = RecordProblem::Malformed { shape, line: at, column };
        let digest = Some(Box::new(digest(line)));
        let error = RecordError { sequence: None, created: None, keys: None, stream_arn: None, digest, reason };
        // A record that cannot be read is refused whatever the configuration says.
        let _ = self.record(Err(error), pages);
    }

    fn item(&self, item: Result<streamdex_mapping::Image<'_>, RecordProblem>) -> MappedItem {
        let item = item.map_err(|problem| problem.to_string())?;
        let source = self.choose(None).map_err(|problem| problem.to_string())?;
        let mapper = self.mapper(source).ok_or("no such source")?;
        mapper.map_item(&item).map_err(|error| error.to_string())
    }

    fn record(&self, record: Result<&Change<'_>, RecordError>, pages: &mut Pages) -> Result<(), Problem> {
        let arn = match &record {
            Ok(change) => change.stream_arn.as_deref(),
            Err(error) => error.stream_arn.as_deref(),
        };
        let source = match self.choose(arn) {
            // A record that cannot be read belongs to whoever is there.
            Err(_) if record.is_err() => 0,
            source => source?,
        };
        let Some(mapper) = self.mapper(source) else { return Ok(()) };
        pages.pages.entry(source).or_default().add(mapper, record, self.trust).map_err(Problem::Configuration)
    }

    /// `--source`, else the table in the record's stream ARN, else the only source.
    fn choose(&self, arn: Option<&str>) -> Result<usize, Problem> {
        if let Some(forced) = self.forced {
            return Ok(forced);
        }
        let sources = &self.config.sources;
        let Some(table) = arn.and_then(table_of) else {
            return if sources.len() == 1 { Ok(0) } else { Err(Problem::NoTable) };
        };
        let place = sources.iter().position(|source: &Source| source.table.table_name() == table);
        place.ok_or_else(|| Problem::UnknownTable(table.to_owned()))
    }
}

/// Why a captured text cannot be taken.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0}")]
    Form(CapturedError),
    #[error("a record names table {0:?}, which is no source of this configuration")]
    UnknownTable(String),
    #[error("a record does not say which table it comes from, and there are several sources")]
    NoTable,
    #[error("{0}")]
    Configuration(MapError),
}

impl Problem {
    fn at(self, place: &str) -> CliError {
        let hint = match &self {
            Problem::Form(error) => error.hint(),
            Problem::UnknownTable(_) | Problem::NoTable => "name the source with --source NAME",
            Problem::Configuration(error) => error.hint(),
        };
        CliError::new(Exit::Usage, format!("{place}: {self}")).with_hint(hint)
    }
}

fn digest(text: &str) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(text.as_bytes()).into()
}

/// `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL` to `NAME`.
fn table_of(arn: &str) -> Option<&str> {
    arn.split_once(":table/")?.1.split('/').next()
}

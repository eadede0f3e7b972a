//! The mapper: a pure function of one change and the routes.

use bytes::Bytes;

use crate::change::{Change, EventName};
use crate::compare::same_content;
use crate::document::document;
use crate::expiry::{archive, seconds_of};
use crate::fetch::{Fetch, Key};
use crate::id::{KeyError, names_fit};
use crate::image::Image;
use crate::key_of_id::{KeyAttribute, is_hashed, key_of_document, routes_into};
use crate::mapped::Mapped;
use crate::operation::{Action, Address, IndexName, Operation, Origin, Role};
use crate::outcome::Outcome;
use crate::placing::{Placed, Traces, place, trace};
use crate::refusal::{MapError, Refusal, Remains};
use crate::route::Route;
use crate::routes::Routes;
use crate::version::ExternalVersion;

/// Turns changes into operations under the routes of one source.
#[derive(Debug, Clone)]
pub struct Mapper {
    pub(crate) routes: Routes,
}

/// Whether a change may be written from its own images (DESIGN: the law of reads, ADR 0003).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It came in order from its shard: its images are written.
    InOrder,
    /// It came from anywhere else: the item is read, and its current state is written.
    ReadItem,
}

/// Where the new image of a change belongs.
enum Destination<'r, 'i, 'a> {
    /// Here.
    At(Placed<'r, 'i, 'a>),
    /// Nowhere, for certain: the item is gone, no route takes it, or its attributes give no index name.
    Nowhere,
    /// That is not known.
    Unknown,
}

impl Mapper {
    /// A mapper for the routes of one source, in order.
    pub fn new(routes: Vec<Route>) -> Mapper {
        Mapper { routes: Routes::new(routes) }
    }

    /// What `change` asks for.
    ///
    /// # Errors
    /// The change becomes a dead letter, unless [`MapError::is_configuration`]; the operations in the refusal are sent
    /// anyway.
    pub fn map(&self, change: &Change<'_>, trust: Trust) -> Result<Mapped, Box<Refusal>> {
        if let Some(problem) = change.keys.problem() {
            return Err(Refusal::of(problem.clone()));
        }
        let Some(created) = change.created else {
            return Err(Box::new(Refusal { address: self.known_address(change), ..*Refusal::of(MapError::NoTime) }));
        };
        let second = change.not_before.map_or(created, |not_before| created.max(not_before));
        let version = ExternalVersion::of_change(second, change.sequence.as_ref());
        let archive = archive(&self.routes, change, created, version);
        let written = change.event == EventName::Remove || images(change).0.is_some();
        if trust == Trust::ReadItem || !written {
            return self.fetch(change, version, archive);
        }
        self.write_images(change, version, archive)
    }

    /// Maps an item that was read because of `fetch`.
    ///
    /// `item` is the current item, read at `read_at` (the server's time, seconds since 1970). It is indexed at its
    /// address, and deleted at every other address that its changes named.
    ///
    /// # Errors
    /// The item cannot be mapped; the operations in the refusal are sent anyway.
    pub fn resolve(
        &self,
        fetch: &Fetch,
        item: Option<&Image<'_>>,
        read_at: u64,
    ) -> Result<Vec<Operation>, Box<Refusal>> {
        let keys = fetch.key.image();
        let mut error = item.and_then(problem);
        let destination = self.destination(item, &keys, &mut error);
        let writer = Writer { version: fetch.version.at(read_at), origin: Origin::Read { at: read_at } };
        let (operations, remains) = writer.operations(&fetch.addresses, &destination, &mut error);
        let Some(error) = error else { return Ok(operations) };
        let address = destination.address().or_else(|| fetch.addresses.first()).cloned();
        Err(Box::new(Refusal { error, sent: sent(operations), address, remains }))
    }

    /// The address and the document of one item, without a version: what `map` shows for items. Which attributes are its
    /// key is what the route says.
    ///
    /// # Errors
    /// The item cannot be mapped; the route that takes it must have an `id`.
    pub fn map_item(&self, item: &Image<'_>) -> Result<Option<(Address, Bytes)>, MapError> {
        if let Some(problem) = item.problem() {
            return Err(problem.clone().into());
        }
        let Some(route) = self.routes.first_match(item)? else {
            return Ok(None);
        };
        let names = route.id.as_deref().ok_or_else(|| KeyError::IdMismatch {
            found: "not known from an item alone".to_owned(),
            configured: "nothing".to_owned(),
        })?;
        self.document_of(item, names)
    }

    /// The address and the document that an item should have, by the names of its table's key attributes; `None` where no
    /// route takes it.
    ///
    /// # Errors
    /// The item cannot be mapped.
    pub fn document_of(&self, item: &Image<'_>, names: &[String]) -> Result<Option<(Address, Bytes)>, MapError> {
        if let Some(problem) = item.problem() {
            return Err(problem.clone().into());
        }
        let keys = item.select(names);
        let Some(placed) = place(&self.routes, item, &keys)? else {
            return Ok(None);
        };
        let text = document(placed.route, item)?;
        Ok(Some((placed.address, text)))
    }

    /// When the item expires, in seconds since 1970, by the route that takes it; `None` where it does not say.
    pub fn time_to_live(&self, item: &Image<'_>) -> Option<u64> {
        let ttl = self.routes.first_match(item).ok()??.ttl.as_ref()?;
        seconds_of(item, &ttl.attribute)
    }

    /// The key of the item that has its document in `index` under `id`; `None` where no item of a table with the key
    /// attributes `keys` has this id. An id that is a hash does not tell: then the document is needed, as `source`.
    pub fn key_of(&self, index: &IndexName, id: &str, keys: &[KeyAttribute], source: Option<&[u8]>) -> Option<Key> {
        let routes = routes_into(self.routes.iter(), index);
        routes.into_iter().find_map(|route| key_of_document(route, id, keys, source))
    }

    /// Whether the document in `index` under `id` is needed to know the key of its item.
    pub fn is_hashed(&self, index: &IndexName, id: &str) -> bool {
        routes_into(self.routes.iter(), index).into_iter().any(|route| is_hashed(route, id))
    }

    /// Whether every route's `id` and `routing` fit a key with these attributes. One record that fits proves the
    /// configuration right: where another record of the table does not fit, that record is wrong.
    pub fn fits(&self, keys: &Image<'_>) -> bool {
        self.routes.iter().all(|route| names_fit(route, keys))
    }

    /// The address that the old image, or the new one, of a change gives.
    pub fn known_address(&self, change: &Change<'_>) -> Option<Address> {
        let (new, old) = images(change);
        [old, new]
            .into_iter()
            .flatten()
            .find_map(|image| place(&self.routes, image, &change.keys).ok().flatten())
            .map(|placed| placed.address)
    }

    fn write_images(
        &self,
        change: &Change<'_>,
        version: ExternalVersion,
        archive: Result<Option<Operation>, MapError>,
    ) -> Result<Mapped, Box<Refusal>> {
        let (new, old) = images(change);
        let mut error = new.and_then(problem);
        let destination = self.destination(new, &change.keys, &mut error);
        let traces = self.traces(change, old, destination.placed());
        if error.is_none() && old.and_then(problem).is_none() && is_unchanged(&traces, &destination) {
            return Ok(Mapped::Nothing(Outcome::Unchanged));
        }
        let old_addresses = traces.addresses();
        let writer = Writer { version, origin: Origin::Image };
        let (mut operations, mut remains) = writer.operations(&old_addresses, &destination, &mut error);
        let is_done = error.is_none();
        let archive_error = match archive {
            Ok(archive) => {
                operations.extend(archive);
                None
            }
            Err(error) => Some(error),
        };
        if traces.error.is_some() && (is_done || remains == Remains::NotWritten) {
            remains = Remains::LeftOver;
        } else if is_done && change.event == EventName::Remove {
            remains = if archive_error.is_some() { Remains::NotArchived } else { Remains::Deleted };
        } else if is_done && matches!(destination, Destination::At(_)) {
            remains = Remains::Written;
        }
        if let Some(error) = error.or(traces.error).or_else(|| old.and_then(problem)).or(archive_error) {
            let address = destination.address().cloned().or_else(|| old_addresses.into_iter().next());
            return Err(Box::new(Refusal { error, sent: sent(operations), address, remains }));
        }
        Ok(sent(operations).unwrap_or(Mapped::Nothing(Outcome::Filtered)))
    }

    /// The item is read: its images tell only where its documents may lie.
    fn fetch(
        &self,
        change: &Change<'_>,
        version: ExternalVersion,
        archive: Result<Option<Operation>, MapError>,
    ) -> Result<Mapped, Box<Refusal>> {
        let (new, old) = images(change);
        let mut addresses: Vec<Address> = Vec::with_capacity(2);
        let mut error = None;
        let keys_alone = Some(&change.keys).filter(|_| old.is_none() && new.is_none());
        for image in [old, new, keys_alone].into_iter().flatten() {
            let traces = trace(&self.routes, image, &change.keys, None);
            for address in traces.addresses() {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            error = error.or(traces.error);
        }
        if let Some(error @ MapError::Key(_)) = error {
            return Err(Refusal::of(error));
        }
        let address = addresses.first().cloned();
        let mut remains = Remains::LeftOver;
        let archive = archive.unwrap_or_else(|archive_error| {
            if error.is_none() {
                remains = Remains::NotArchived;
                error = Some(archive_error);
            }
            None
        });
        let fetch = Fetch::new(&change.keys, version, addresses).map_err(Refusal::of)?;
        let fetch = Mapped::Fetch { fetch, archive };
        match error {
            None => Ok(fetch),
            Some(error) => Err(Box::new(Refusal { error, sent: Some(fetch), address, remains })),
        }
    }

    /// Where the document of `image` belongs. Why it belongs nowhere, or is not known, goes to `error`.
    fn destination<'r, 'i, 'a>(
        &'r self,
        image: Option<&'i Image<'a>>,
        keys: &Image<'_>,
        error: &mut Option<MapError>,
    ) -> Destination<'r, 'i, 'a> {
        let Some(image) = image else { return Destination::Nowhere };
        match place(&self.routes, image, keys) {
            Ok(Some(placed)) => Destination::At(placed),
            Ok(None) => Destination::Nowhere,
            Err(pattern @ MapError::Pattern(_)) => {
                error.get_or_insert(pattern);
                Destination::Nowhere
            }
            Err(unknown) => {
                error.get_or_insert(unknown);
                Destination::Unknown
            }
        }
    }

    /// Where the document of the item before the change may lie.
    fn traces<'r, 'i, 'a>(
        &'r self,
        change: &'i Change<'a>,
        old: Option<&'i Image<'a>>,
        new: Option<&Placed<'r, '_, '_>>,
    ) -> Traces<'r, 'i, 'a> {
        match old {
            Some(image) => trace(&self.routes, image, &change.keys, new),
            // Without old images, only the key decides about the index; start-up has seen to that.
            None if change.event == EventName::Remove => match place(&self.routes, &change.keys, &change.keys) {
                Ok(exactly) => Traces { exactly, possibly: Vec::new(), error: None },
                Err(error) => Traces { exactly: None, possibly: Vec::new(), error: Some(error) },
            },
            None => Traces { exactly: None, possibly: Vec::new(), error: None },
        }
    }
}

/// What the operations of one change, or of one item that was read, have in common.
struct Writer {
    version: ExternalVersion,
    origin: Origin,
}

impl Writer {
    /// Deletes wherever the document was and does not belong, and writes it where it does (rule D1,
    /// docs/registers/guarantees.md). While `error` says that the item cannot be written, or its document cannot be made,
    /// the document where it belongs stays as it is; and where it is not known where it belongs, every document stays.
    fn operations(
        &self,
        old: &[Address],
        destination: &Destination<'_, '_, '_>,
        error: &mut Option<MapError>,
    ) -> (Vec<Operation>, Remains) {
        let mut operations = Vec::with_capacity(2);
        if !matches!(destination, Destination::Unknown) {
            let here = destination.address();
            let elsewhere = old.iter().filter(|address| here != Some(address));
            operations.extend(elsewhere.map(|address| self.operation(address.clone(), Action::Delete)));
        }
        let deletes = operations.len();
        if let (Destination::At(placed), None) = (destination, &error) {
            match document(placed.route, placed.image) {
                Ok(text) => operations.push(self.operation(placed.address.clone(), Action::Index(text))),
                Err(refused) => *error = Some(refused.into()),
            }
        }
        let remains = match destination {
            Destination::Nowhere if deletes > 0 => Remains::Moved,
            Destination::Nowhere => Remains::NotWritten,
            _ if deletes < old.len() => Remains::Stale,
            _ if deletes > 0 => Remains::Moved,
            _ => Remains::NotWritten,
        };
        (operations, remains)
    }

    fn operation(&self, address: Address, action: Action) -> Operation {
        Operation { address, version: self.version, action, origin: self.origin, role: Role::Live }
    }
}

// === impl Destination ===

impl<'r, 'i, 'a> Destination<'r, 'i, 'a> {
    fn placed(&self) -> Option<&Placed<'r, 'i, 'a>> {
        match self {
            Destination::At(placed) => Some(placed),
            Destination::Nowhere | Destination::Unknown => None,
        }
    }

    fn address(&self) -> Option<&Address> {
        self.placed().map(|placed| &placed.address)
    }
}

/// Whether both images give one document at one address.
fn is_unchanged(old: &Traces<'_, '_, '_>, new: &Destination<'_, '_, '_>) -> bool {
    let (Some(old), Destination::At(new)) = (&old.exactly, new) else { return false };
    old.address == new.address && same_content((old.route, old.image), (new.route, new.image))
}

fn problem(image: &Image<'_>) -> Option<MapError> {
    image.problem().map(|problem| problem.clone().into())
}

fn sent(operations: Vec<Operation>) -> Option<Mapped> {
    (!operations.is_empty()).then_some(Mapped::Operations(operations))
}

/// New and old image, as far as the event can have them.
fn images<'c, 'a>(change: &'c Change<'a>) -> (Option<&'c Image<'a>>, Option<&'c Image<'a>>) {
    let new = change.new_image.as_ref().filter(|_| change.event != EventName::Remove);
    let old = change.old_image.as_ref().filter(|_| change.event != EventName::Insert);
    (new, old)
}

#[cfg(test)]
mod deletes;
#[cfg(test)]
mod tests;

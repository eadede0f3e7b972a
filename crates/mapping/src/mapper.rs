//! The mapper: a pure function of one change and the routes.

use crate::change::{Change, EventName};
use crate::compare::same_content;
use crate::decimal::whole_seconds;
use crate::document::{DocumentError, archive_document, document};
use crate::fetch::Fetch;
use crate::id::{KeyError, id_text, routing};
use crate::image::{AttributeProblem, Image, Node};
use crate::matching::{PatternError, first_match, index_of};
use crate::operation::{Action, Address, Operation, Origin, Role};
use crate::outcome::Outcome;
use crate::route::{OnExpiry, Route};
use crate::version::{CreationTime, ExternalVersion};

/// Turns changes into operations under the routes of one source.
#[derive(Debug, Clone)]
pub struct Mapper {
    routes: Vec<Route>,
}

/// Whether a change may be written from its own images (DESIGN: the law of reads, ADR 0003).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It came in order from its shard: its images are written.
    InOrder,
    /// It came from anywhere else: the item is read, and what is there now is written.
    ReadItem,
}

/// What a change asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    /// Nothing to send: [`Outcome::Unchanged`] or [`Outcome::Filtered`].
    Nothing(Outcome),
    /// These operations, each on a document of its own.
    Operations(Vec<Operation>),
    /// The item must be read and given to [`Mapper::resolve`]; the archive copy, if any, is sent as it is.
    Fetch {
        /// What to read, and what to do with it.
        fetch: Fetch,
        /// The archive copy of an expired item, which cannot be read again.
        archive: Option<Operation>,
    },
}

/// Why a change cannot be mapped. Attribute names appear in it, values never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The record has no usable creation time, so it has no version.
    #[error("the record has no usable ApproximateCreationDateTime")]
    NoTime,
    /// An image holds something that is no DynamoDB value.
    #[error(transparent)]
    Attribute(#[from] AttributeProblem),
    /// The key gives no id.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The item gives no index.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The item gives no document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An expiry is to be archived, but the stream carries no old image.
    #[error("an expiry without the old image, which on_expiry = \"archive\" needs")]
    NothingToArchive,
}

impl MapError {
    /// Whether it is the configuration that is wrong, and not this one record: then work stops.
    pub fn is_configuration(&self) -> bool {
        matches!(self, MapError::Key(KeyError::IdMismatch { .. } | KeyError::RoutingMismatch(_)))
    }

    /// A word for the kind of problem.
    pub fn name(&self) -> &'static str {
        match self {
            MapError::NoTime => "no_creation_time",
            MapError::Attribute(problem) => problem.kind.name(),
            MapError::Key(_) => "no_document_id",
            MapError::Pattern(_) => "no_index_name",
            MapError::Document(DocumentError::ReservedName(_)) => "reserved_field_name",
            MapError::Document(DocumentError::Collision(_)) => "colliding_field_name",
            MapError::NothingToArchive => "nothing_to_archive",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            MapError::NoTime => "`dlq replay` reads the item anew and heals it",
            MapError::Attribute(_) => "mend the item in the table, then `dlq replay`",
            MapError::Key(KeyError::IdMismatch { .. }) => {
                "name every key attribute of the table in the route's id, and nothing else"
            }
            MapError::Key(KeyError::RoutingMismatch(_)) => "let routing name the partition or the sort key",
            MapError::Key(_) => "such a key cannot be a document id; filter it with `when`",
            MapError::Pattern(_) => {
                "give the attribute a value that can stand in an index name, or filter it with `when`"
            }
            MapError::Document(_) => "rename or exclude the attribute in the route",
            MapError::NothingToArchive => "let the stream carry old images (NEW_AND_OLD_IMAGES)",
        }
    }
}

/// An image and where it belongs.
struct Placed<'r, 'i, 'a> {
    route: &'r Route,
    image: &'i Image<'a>,
    address: Address,
}

impl Mapper {
    /// A mapper for the routes of one source, in order.
    pub fn new(routes: Vec<Route>) -> Mapper {
        Mapper { routes }
    }

    /// What `change` asks for.
    ///
    /// # Errors
    /// The change cannot be mapped: it sends nothing and is one dead letter, unless
    /// [`MapError::is_configuration`].
    pub fn map(&self, change: &Change<'_>, trust: Trust) -> Result<Mapped, MapError> {
        let (new, old) = images(change);
        for image in [Some(&change.keys), new, old].into_iter().flatten() {
            if let Some(problem) = image.problem() {
                return Err(problem.clone().into());
            }
        }
        let created = change.created.ok_or(MapError::NoTime)?;
        let version = ExternalVersion::of_change(created, change.sequence.as_ref());
        let archive = self.archive(change, created, version)?;
        let written = change.event == EventName::Remove || new.is_some();
        if trust == Trust::ReadItem || !written {
            let addresses = self.addresses_seen(change)?;
            return Ok(Mapped::Fetch { fetch: Fetch::new(&change.keys, version, addresses)?, archive });
        }
        self.write_images(change, version, archive)
    }

    /// What is to be done about an item that was read because of `fetch`.
    ///
    /// `item` is what the table holds now, read at `read_at` (the server's time, seconds since 1970).
    /// It is indexed where it belongs, and deleted at every other address that its changes named.
    ///
    /// # Errors
    /// The item cannot be mapped.
    pub fn resolve(&self, fetch: &Fetch, item: Option<&Image<'_>>, read_at: u64) -> Result<Vec<Operation>, MapError> {
        let keys = fetch.key.image();
        let placed = match item {
            Some(image) => {
                if let Some(problem) = image.problem() {
                    return Err(problem.clone().into());
                }
                self.place(image, &keys)?
            }
            None => None,
        };
        let origin = Origin::Read { at: read_at };
        let operation =
            |address, action| Operation { address, version: fetch.version, action, origin, role: Role::Live };
        let mut operations = Vec::with_capacity(fetch.addresses.len() + 1);
        for address in &fetch.addresses {
            if placed.as_ref().is_none_or(|placed| placed.address != *address) {
                operations.push(operation(address.clone(), Action::Delete));
            }
        }
        if let Some(placed) = placed {
            let text = document(placed.route, placed.image)?;
            operations.push(operation(placed.address, Action::Index(text)));
        }
        Ok(operations)
    }

    /// The address and the document of one item, without a version: what `map` shows for items.
    ///
    /// # Errors
    /// The item cannot be mapped; the route that takes it must have an `id`.
    pub fn map_item(&self, item: &Image<'_>) -> Result<Option<(Address, Vec<u8>)>, MapError> {
        if let Some(problem) = item.problem() {
            return Err(problem.clone().into());
        }
        let Some(route) = first_match(&self.routes, item) else {
            return Ok(None);
        };
        let names = route.id.as_deref().ok_or_else(|| KeyError::IdMismatch {
            found: "not known from an item alone".to_owned(),
            configured: "nothing".to_owned(),
        })?;
        let keys = item.select(names);
        let Some(placed) = self.place(item, &keys)? else {
            return Ok(None);
        };
        let text = document(placed.route, item)?;
        Ok(Some((placed.address, text)))
    }

    /// The address that the old image, or the key, of a change gives: what a dead letter names.
    pub fn known_address(&self, change: &Change<'_>) -> Option<Address> {
        let (new, old) = images(change);
        [old, new]
            .into_iter()
            .flatten()
            .find_map(|image| self.place(image, &change.keys).ok().flatten())
            .map(|placed| placed.address)
    }

    fn write_images(
        &self,
        change: &Change<'_>,
        version: ExternalVersion,
        archive: Option<Operation>,
    ) -> Result<Mapped, MapError> {
        let (new, old) = images(change);
        let new = new.map_or(Ok(None), |image| self.place(image, &change.keys))?;
        let old = match old {
            Some(image) => self.place_old(image, &change.keys)?,
            // Without old images, only the key decides about the index; start-up has seen to that.
            None if change.event == EventName::Remove => self.place(&change.keys, &change.keys)?,
            None => None,
        };
        let moved = match (&old, &new) {
            (Some(old), Some(new)) => old.address != new.address,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if let (Some(old), Some(new), false) = (&old, &new, moved)
            && same_content((old.route, old.image), (new.route, new.image))
        {
            return Ok(Mapped::Nothing(Outcome::Unchanged));
        }
        let operation =
            |address, action| Operation { address, version, action, origin: Origin::Image, role: Role::Live };
        let mut operations = Vec::with_capacity(1 + usize::from(archive.is_some()));
        if let Some(old) = old.filter(|_| moved) {
            operations.push(operation(old.address, Action::Delete));
        }
        if let Some(new) = new {
            let text = document(new.route, new.image)?;
            operations.push(operation(new.address, Action::Index(text)));
        }
        operations.extend(archive);
        Ok(if operations.is_empty() { Mapped::Nothing(Outcome::Filtered) } else { Mapped::Operations(operations) })
    }

    /// Every address that the images of a change name; from the key alone where it has none.
    fn addresses_seen(&self, change: &Change<'_>) -> Result<Vec<Address>, MapError> {
        let (new, old) = images(change);
        let mut addresses: Vec<Address> = Vec::with_capacity(2);
        let mut add = |placed: Option<Placed<'_, '_, '_>>| {
            if let Some(placed) = placed
                && !addresses.contains(&placed.address)
            {
                addresses.push(placed.address);
            }
        };
        for image in [old, new].into_iter().flatten() {
            add(self.place_old(image, &change.keys)?);
        }
        if old.is_none() && new.is_none() {
            add(self.place_old(&change.keys, &change.keys)?);
        }
        Ok(addresses)
    }

    fn place<'r, 'i, 'a>(
        &'r self,
        image: &'i Image<'a>,
        keys: &Image<'_>,
    ) -> Result<Option<Placed<'r, 'i, 'a>>, MapError> {
        let Some(route) = first_match(&self.routes, image) else {
            return Ok(None);
        };
        let index = index_of(route, image)?;
        let id = id_text(route, keys)?.live();
        let routing = routing(route, keys)?;
        Ok(Some(Placed { route, image, address: Address { index, id, routing } }))
    }

    /// Like [`Mapper::place`] for what may lie in the index already: an image that gives no index name
    /// was never written, so there is nothing of it to delete.
    fn place_old<'r, 'i, 'a>(
        &'r self,
        image: &'i Image<'a>,
        keys: &Image<'_>,
    ) -> Result<Option<Placed<'r, 'i, 'a>>, MapError> {
        match self.place(image, keys) {
            Err(MapError::Pattern(_)) => Ok(None),
            placed => placed,
        }
    }

    /// The archive copy that an expiry leaves behind, where the old image's route asks for one.
    fn archive(
        &self,
        change: &Change<'_>,
        created: CreationTime,
        version: ExternalVersion,
    ) -> Result<Option<Operation>, MapError> {
        if change.event != EventName::Remove {
            return Ok(None);
        }
        let image = change.old_image.as_ref().unwrap_or(&change.keys);
        let Some(route) = first_match(&self.routes, image) else {
            return Ok(None);
        };
        let Some(ttl) = &route.ttl else {
            return Ok(None);
        };
        let OnExpiry::Archive(index) = &ttl.on_expiry else {
            return Ok(None);
        };
        let inferred = ttl.infer_expiry && lies_before(image, &ttl.attribute, created);
        if !change.expired && !inferred {
            return Ok(None);
        }
        let old = change.old_image.as_ref().ok_or(MapError::NothingToArchive)?;
        let id = id_text(route, &change.keys)?.archive(created.seconds());
        let routing = routing(route, &change.keys)?;
        let text = archive_document(route, old, created.seconds())?;
        let address = Address { index: index.clone(), id, routing };
        Ok(Some(Operation {
            address,
            version,
            action: Action::Index(text),
            origin: Origin::Image,
            role: Role::Archive,
        }))
    }
}

/// New and old image, as far as the event can have them.
fn images<'c, 'a>(change: &'c Change<'a>) -> (Option<&'c Image<'a>>, Option<&'c Image<'a>>) {
    let new = change.new_image.as_ref().filter(|_| change.event != EventName::Remove);
    let old = change.old_image.as_ref().filter(|_| change.event != EventName::Insert);
    (new, old)
}

/// Whether the TTL of `image` lies before `created`.
fn lies_before(image: &Image<'_>, attribute: &str, created: CreationTime) -> bool {
    match image.get(attribute) {
        Some([Node::Number(digits)]) => whole_seconds(digits).is_some_and(|ttl| ttl < u64::from(created.seconds())),
        _ => false,
    }
}

#[cfg(test)]
mod tests;

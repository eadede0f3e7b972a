//! Finds the place of an image's document, as far as the image can be read.

use crate::id::{id_text, routing};
use crate::image::Image;
use crate::matching::index_of;
use crate::operation::{Address, IndexName};
use crate::refusal::MapError;
use crate::route::Route;
use crate::routes::Routes;
use crate::shape::Shaped;

/// An image and where it belongs.
pub(crate) struct Placed<'r, 'i, 'a> {
    pub(crate) route: &'r Shaped,
    pub(crate) image: &'i Image<'a>,
    pub(crate) address: Address,
}

/// Where the document of an image may lie.
pub(crate) struct Traces<'r, 'i, 'a> {
    /// Where it lies for certain, if anywhere.
    pub(crate) exactly: Option<Placed<'r, 'i, 'a>>,
    /// Where it may lie. No other item has a document at these addresses, since ids are the items' own.
    pub(crate) possibly: Vec<Address>,
    /// Why that may not be all.
    pub(crate) error: Option<MapError>,
}

/// Where `image` belongs; `None` where no route takes it.
///
/// # Errors
/// An attribute that decides about the address cannot be read, or there is no address.
pub(crate) fn place<'r, 'i, 'a>(
    routes: &'r Routes,
    image: &'i Image<'a>,
    keys: &Image<'_>,
) -> Result<Option<Placed<'r, 'i, 'a>>, MapError> {
    place_beside(routes, image, keys, None)
}

/// The same, where another image of the same item was placed: under one route into one index, both have one address.
fn place_beside<'r, 'i, 'a>(
    routes: &'r Routes,
    image: &'i Image<'a>,
    keys: &Image<'_>,
    other: Option<&Placed<'r, '_, '_>>,
) -> Result<Option<Placed<'r, 'i, 'a>>, MapError> {
    let Some(route) = routes.first_match(image)? else {
        return Ok(None);
    };
    let index = index_of(route, image)?;
    let same = other.filter(|other| std::ptr::eq(other.route, route) && other.address.index == index);
    let address = match same {
        Some(other) => other.address.clone(),
        None => address(route, index, keys)?,
    };
    Ok(Some(Placed { route, image, address }))
}

/// Where the document of an image of the past may lie. One that gives no index name was never written. Where the route
/// hangs on an attribute that cannot be read, every route that may have taken the image counts.
pub(crate) fn trace<'r, 'i, 'a>(
    routes: &'r Routes,
    image: &'i Image<'a>,
    keys: &Image<'_>,
    other: Option<&Placed<'r, '_, '_>>,
) -> Traces<'r, 'i, 'a> {
    let error = match place_beside(routes, image, keys, other) {
        Ok(exactly) => return Traces { exactly, possibly: Vec::new(), error: None },
        Err(MapError::Pattern(_)) => return Traces { exactly: None, possibly: Vec::new(), error: None },
        Err(error) => error,
    };
    let possible = routes.possible_matches(image);
    let addresses = possible.into_iter().filter_map(|route| address(route, index_of(route, image).ok()?, keys).ok());
    Traces { exactly: None, possibly: addresses.collect(), error: Some(error) }
}

pub(crate) fn address(route: &Route, index: IndexName, keys: &Image<'_>) -> Result<Address, MapError> {
    let id = id_text(route, keys)?.live();
    let routing = routing(route, keys)?;
    Ok(Address { index, id, routing })
}

// === impl Traces ===

impl Traces<'_, '_, '_> {
    /// Every address that is named, each once.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = self.exactly.iter().map(|placed| placed.address.clone()).collect();
        for address in &self.possibly {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }
}

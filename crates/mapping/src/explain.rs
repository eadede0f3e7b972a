//! Explains for people which routes match an item.

use serde::Serialize;

use crate::fetch::Key;
use crate::image::Image;
use crate::key_of_id::routes_into;
use crate::mapper::Mapper;
use crate::matching::holds;
use crate::operation::{Address, IndexName};
use crate::placing::address;
use crate::route::{Condition, Route};

/// One route, and what it says of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteVerdict {
    /// Its index, as the configuration has it.
    pub index: String,
    /// Its conditions, in order.
    pub conditions: Vec<ConditionVerdict>,
    /// Whether it takes the item: it is the first whose conditions all hold.
    pub takes: bool,
}

/// One condition, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionVerdict {
    /// The attribute that it asks about.
    pub attribute: String,
    /// What it asks, without the attribute.
    pub asks: String,
    /// Whether it holds; `None` where the attribute cannot be read.
    pub holds: Option<bool>,
}

impl Mapper {
    /// What each route says of `item`, in order.
    pub fn verdicts(&self, item: &Image<'_>) -> Vec<RouteVerdict> {
        let taken = self.routes.first_match(item).ok().flatten().map(|shaped| &shaped.route);
        let conditions = |when: &[Condition]| {
            let one = |condition: &Condition| ConditionVerdict {
                attribute: condition.attribute.clone(),
                asks: condition.to_string(),
                holds: holds(condition, item).ok(),
            };
            when.iter().map(one).collect()
        };
        let verdict = |route: &Route| RouteVerdict {
            index: route.index.text().to_owned(),
            conditions: conditions(&route.when),
            takes: taken.is_some_and(|taken| std::ptr::eq(taken, route)),
        };
        self.routes.iter().map(verdict).collect()
    }

    /// The address of this key's document in `index`; `None` if no route writes there, or not with this key.
    pub fn address_in(&self, index: &IndexName, key: &Key) -> Option<Address> {
        let routes = routes_into(self.routes.iter(), index);
        routes.into_iter().find_map(|route| address(route, index.clone(), &key.image()).ok())
    }
}

//! The prepared field rules of a route: which attributes are written, under which names, and in which form.
//!
//! Values are shaped from the plain JSON that the reader wrote, so an item is read once. Values without a rule are
//! copied.

mod expand;
mod set;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Deref;

use hashbrown::{HashMap, HashSet};

use crate::field::DocumentError;
use crate::image::{Attribute, Image, is_special};
use crate::path::Path;
use crate::route::{Dots, FieldValue, NumberForm, REPLICATION_PREFIX, Route, root_name, with_dots};
use crate::text::{Text, write_json_string};

/// What a route says of fields.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// The attributes and fields that it names, so that an attribute is looked up once.
    known: HashMap<String, Plan>,
    /// What is left out of the values that `set` copies, by their fields.
    copied: HashMap<String, Node>,
    /// Whether it keeps what it does not name.
    keeps_all: bool,
    numbers: NumberForm,
    dots: Dots,
    /// Whether it has no field rules.
    is_plain: bool,
}

/// What becomes of an attribute of a name that the route knows.
#[derive(Debug, Clone, Default)]
struct Plan {
    node: Node,
    /// Whether it, or something in it, is written.
    is_kept: bool,
    /// Whether a field of the route is made of it.
    is_used: bool,
    /// What `rename` says.
    renamed: Option<String>,
    /// Whether `set` makes a field of this name.
    is_set: bool,
}

/// What a route says of one place.
#[derive(Debug, Clone, Default)]
struct Node {
    members: HashMap<String, Node>,
    /// It is kept, with all inside.
    kept: bool,
    left_out: bool,
    as_json: bool,
    as_string: bool,
    date: bool,
}

/// A route, and its shape.
#[derive(Debug, Clone)]
pub(crate) struct Shaped {
    pub(crate) route: Route,
    pub(crate) shape: Shape,
}

/// What holds of a value: what its route says of it, and what it says of what is around it.
#[derive(Debug, Clone, Copy)]
struct Around<'s> {
    node: Option<&'s Node>,
    /// What is not named is kept.
    all: bool,
    /// Numbers are strings.
    strings: bool,
}

// === impl Shaped ===

impl Deref for Shaped {
    type Target = Route;

    fn deref(&self) -> &Route {
        &self.route
    }
}

impl Shaped {
    pub(crate) fn new(route: Route) -> Shaped {
        Shaped { shape: Shape::of(&route), route }
    }
}

// === impl Shape ===

impl Shape {
    fn of(route: &Route) -> Shape {
        let mut root = Node::default();
        route.include.iter().for_each(|path| root.at(path).kept = true);
        route.exclude.iter().for_each(|path| root.at(path).left_out = true);
        route.as_json.iter().for_each(|path| root.at(path).as_json = true);
        route.numbers_as_string.iter().for_each(|path| root.at(path).as_string = true);
        route.dates.iter().for_each(|path| root.at(path).date = true);
        let keeps_all = route.include.is_empty();
        let copied = route.set.iter().filter_map(|(field, value)| match value {
            FieldValue::From(path) => Some((field.clone(), root.find(path)?.only_left_out())),
            _ => None,
        });
        let copied = copied.collect();
        let mut known: HashMap<String, Plan> = HashMap::new();
        for (name, node) in root.members {
            known.entry(name).or_default().node = node;
        }
        for (attribute, field) in route.rename.iter().filter(|(attribute, field)| attribute != field) {
            known.entry(attribute.clone()).or_default().renamed = Some(field.clone());
        }
        for attribute in used_attributes(route) {
            known.entry(attribute).or_default().is_used = true;
        }
        for field in route.set.keys() {
            known.entry(field.clone()).or_default().is_set = true;
        }
        for plan in known.values_mut() {
            plan.is_kept = !plan.node.left_out && (keeps_all || plan.node.keeps_something());
        }
        let is_plain = known.is_empty()
            && route.set.is_empty()
            && route.dots == Dots::Keep
            && route.numbers == NumberForm::Exact
            && keeps_all;
        Shape { known, copied, keeps_all, numbers: route.numbers, dots: route.dots, is_plain }
    }

    /// Whether it has no field rules.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether the document can depend on the attribute.
    ///
    /// Called for every attribute of two images, so the plain case looks at two bytes of the name.
    pub(crate) fn is_relevant(&self, name: Text<'_>) -> bool {
        if self.is_plain && !is_special(name) {
            return true;
        }
        let name = name.decode();
        match self.known.get(name.as_ref()) {
            Some(plan) if plan.is_used => true,
            Some(plan) => plan.is_kept && !is_of_replication(&name),
            None => self.keeps_all && !is_of_replication(&name),
        }
    }

    /// Writes the members of the document of `image`, without its closing brace.
    pub(crate) fn write_members(
        &self,
        route: &Route,
        image: &Image<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), DocumentError> {
        let from = out.len();
        out.push(b'{');
        let (mut changed, mut used, mut is_dotted) = (Vec::new(), Vec::new(), false);
        for attribute in &image.attributes {
            let name = attribute.name.decode();
            let plan = self.known.get(name.as_ref());
            if plan.is_some_and(|plan| plan.is_used) {
                used.push(attribute);
            }
            if !plan.map_or(self.keeps_all, |plan| plan.is_kept) || is_of_replication(&name) {
                continue;
            }
            let field = self.field(plan, &name, image.has_special_names);
            let is_set = match &field {
                Some(field) => route.set.contains_key(field.as_ref()),
                None => plan.is_some_and(|plan| plan.is_set),
            };
            if is_set {
                continue;
            }
            is_dotted |= self.dots == Dots::Expand && field.as_deref().unwrap_or(&name).contains('.');
            if self.write_attribute(image, attribute, plan, field.as_deref(), out)?
                && let Some(field) = field
            {
                changed.push(field.into_owned());
            }
        }
        self.refuse_collisions(route, image, changed)?;
        for (field, value) in &route.set {
            let begins = begin_member(field, out);
            if !self.write_set((field, value), image, &used, out)? {
                out.truncate(begins);
            }
        }
        if is_dotted {
            out.push(b'}');
            expand::rewrite(out, from)?;
            out.pop();
        }
        Ok(())
    }

    /// Writes an attribute to this field, or to the field with its name. Returns whether any of it is kept.
    fn write_attribute(
        &self,
        image: &Image<'_>,
        attribute: &Attribute<'_>,
        plan: Option<&Plan>,
        field: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<bool, DocumentError> {
        let node = plan.map(|plan| &plan.node);
        let around = Around { node, all: self.keeps_all, strings: self.numbers == NumberForm::String }.enter();
        let value = image.written_value(attribute);
        let first = value.first().copied();
        let has_dots = || self.may_hold_dots(first) && value.iter().any(|byte| matches!(byte, b'.' | b'\\'));
        let is_copied = !Shape::says_something(around, first) && !has_dots();
        if is_copied && field.is_none() {
            separate(out);
            out.extend_from_slice(image.written.get(attribute.written.clone()).unwrap_or_default());
            return Ok(true);
        }
        let begins = match field {
            Some(field) => begin_member(field, out),
            None => begin_literal(attribute.name, out),
        };
        if is_copied {
            out.extend_from_slice(value);
            return Ok(true);
        }
        let kept = self.write_value(&attribute.name.decode(), around, value, out)?;
        if !kept {
            out.truncate(begins);
        }
        Ok(kept)
    }

    /// The field of an attribute; `None` if it has the attribute's name.
    fn field<'a>(&self, plan: Option<&'a Plan>, name: &'a str, may_be_reserved: bool) -> Option<Cow<'a, str>> {
        let renamed = plan.and_then(|plan| plan.renamed.as_deref());
        let has_dots = self.dots == Dots::Underscore && name.contains('.');
        if renamed.is_none() && !has_dots && !may_be_reserved {
            return None;
        }
        let field = root_name(with_dots(Cow::Borrowed(renamed.unwrap_or(name)), self.dots));
        (field != name).then_some(field)
    }

    /// Only a field that has not the name of its attribute can be another one's.
    fn refuse_collisions(
        &self,
        route: &Route,
        image: &Image<'_>,
        mut changed: Vec<String>,
    ) -> Result<(), DocumentError> {
        if changed.is_empty() {
            return Ok(());
        }
        changed.sort_unstable();
        // A separate search for each name would be slow if many are changed.
        let names: HashSet<Cow<'_, str>> = match changed.len() {
            0..=4 => HashSet::new(),
            _ => image.attribute_names().collect(),
        };
        let is_there = |field: &str| if names.is_empty() { image.get(field).is_some() } else { names.contains(field) };
        let twice = changed.windows(2).find(|pair| matches!(pair, [left, right] if left == right));
        let taken = || {
            changed.iter().find(|field| {
                let plan = self.known.get(field.as_str());
                let is_kept = plan.map_or(self.keeps_all, |plan| plan.is_kept && plan.renamed.is_none());
                is_kept && is_there(field) && route.field_of(field).is_some_and(|own| own == field.as_str())
            })
        };
        match twice.and_then(<[String]>::first).or_else(taken) {
            Some(field) => Err(DocumentError::Collision(field.clone())),
            None => Ok(()),
        }
    }

    /// Whether a value that begins so is written otherwise than it was read, names with dots in it aside.
    fn says_something(around: Around<'_>, first: Option<u8>) -> bool {
        let of_node = |says: fn(&Node) -> bool| around.node.is_some_and(says);
        if !around.all || of_node(|node| node.as_json) {
            return true;
        }
        match first {
            Some(b'{' | b'[') => around.strings || of_node(|node| node.date || !node.members.is_empty()),
            Some(b'-' | b'0'..=b'9') => around.strings || of_node(|node| node.date),
            _ => false,
        }
    }

    /// Whether a value that begins so can hold names with dots that do not stay as they are.
    fn may_hold_dots(&self, first: Option<u8>) -> bool {
        self.dots != Dots::Keep && matches!(first, Some(b'{' | b'['))
    }
}

fn is_of_replication(name: &str) -> bool {
    name.starts_with(REPLICATION_PREFIX)
}

fn used_attributes(route: &Route) -> BTreeSet<String> {
    let paths = route.set.values().flat_map(|value| match value {
        FieldValue::From(path) | FieldValue::After { from: path, .. } => vec![path],
        FieldValue::Point { lat, lon } => vec![lat, lon],
        FieldValue::Constant(_) => Vec::new(),
    });
    paths.map(|path| path.attribute().to_owned()).collect()
}

/// Writes a name, with a comma where one is needed; where it begins.
fn begin_member(name: &str, out: &mut Vec<u8>) -> usize {
    let begins = separate(out);
    write_json_string(name, out);
    out.push(b':');
    begins
}

/// The same, of a name as it was read.
fn begin_literal(name: Text<'_>, out: &mut Vec<u8>) -> usize {
    let begins = separate(out);
    out.extend_from_slice(name.literal().as_bytes());
    out.push(b':');
    begins
}

/// Writes a comma, unless an object or a list begins here; where it was.
fn separate(out: &mut Vec<u8>) -> usize {
    let begins = out.len();
    if !matches!(out.last(), Some(b'{' | b'[')) {
        out.push(b',');
    }
    begins
}

// === impl Node ===

impl Node {
    /// The node of a place, made where there is none.
    fn at(&mut self, path: &Path) -> &mut Node {
        path.names().iter().fold(self, |node, name| node.members.entry(name.clone()).or_default())
    }

    /// The node of a place that is named, or around one that is.
    fn find(&self, path: &Path) -> Option<&Node> {
        path.names().iter().try_fold(self, |node, name| node.members.get(name))
    }

    /// What it says of places inside it that are left out, and nothing else.
    fn only_left_out(&self) -> Node {
        let inside = self.members.iter().map(|(name, node)| (name.clone(), node));
        let members = inside.map(|(name, node)| (name, Node { left_out: node.left_out, ..node.only_left_out() }));
        Node { members: members.collect(), ..Node::default() }
    }

    /// Whether `include` names it, or something inside.
    fn keeps_something(&self) -> bool {
        self.kept || self.members.values().any(Node::keeps_something)
    }
}

// === impl Around ===

impl Around<'_> {
    /// What holds inside this value.
    fn enter(self) -> Self {
        let of_node = |says: fn(&Node) -> bool| self.node.is_some_and(says);
        Around {
            all: self.all || of_node(|node| node.kept),
            strings: self.strings || of_node(|node| node.as_string),
            ..self
        }
    }
}

//! The prepared routes of a source. The matching route is found without testing each condition of each route.

use std::collections::HashMap;

use crate::decimal::Decimal;
use crate::image::{AttributeProblem, Image, Scalar};
use crate::matching::{first_by_one, is_like, possible_by_one};
use crate::route::{Constant, Route, Test};
use crate::shape::Shaped;

/// The routes of a source, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    routes: Vec<Shaped>,
    /// What each route asks, by its place.
    asked: Vec<Vec<Asked>>,
    /// The attributes that are asked about.
    attributes: Vec<Tested>,
    tests: usize,
}

/// A test, by its number, and how it must come out.
#[derive(Debug, Clone, Copy)]
struct Asked {
    test: usize,
    holds: bool,
}

/// The tests of one attribute, by what they compare it with: those that hold are looked up.
#[derive(Debug, Clone, Default)]
struct Tested {
    name: String,
    /// All of them, so that one that several routes ask is asked once.
    numbers_of: HashMap<Test, usize>,
    exists: Option<usize>,
    strings: HashMap<String, Vec<usize>>,
    numbers: HashMap<Decimal, Vec<usize>>,
    bools: HashMap<bool, Vec<usize>>,
    prefixes: Vec<(String, usize)>,
    likes: Vec<(Vec<String>, usize)>,
}

// === impl Routes ===

impl Routes {
    pub(crate) fn new(routes: Vec<Route>) -> Routes {
        let mut prepared = Routes::default();
        for route in &routes {
            let asked = route.when.iter().map(|condition| {
                let (test, wanted) = prepared.number_of(&condition.attribute, &condition.test);
                Asked { test, holds: wanted != condition.not }
            });
            let asked = asked.collect();
            prepared.asked.push(asked);
        }
        Routes { routes: routes.into_iter().map(Shaped::new).collect(), ..prepared }
    }

    /// The routes, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map(|shaped| &shaped.route)
    }

    /// The first route whose conditions all hold for `image`.
    ///
    /// # Errors
    /// That depends on an attribute that cannot be read.
    pub(crate) fn first_match(&self, image: &Image<'_>) -> Result<Option<&Shaped>, AttributeProblem> {
        if image.problem().is_some() {
            return first_by_one(&self.routes, image);
        }
        let mut holding = vec![false; self.tests];
        for tested in &self.attributes {
            tested.note(image, &mut holding);
        }
        let takes = |asked: &Vec<Asked>| asked.iter().all(|asked| holding.get(asked.test) == Some(&asked.holds));
        Ok(self.asked.iter().position(takes).and_then(|place| self.routes.get(place)))
    }

    /// Every route that may be the first one whose conditions hold for `image`.
    pub(crate) fn possible_matches(&self, image: &Image<'_>) -> Vec<&Shaped> {
        possible_by_one(&self.routes, image)
    }

    /// The number of a test, and how it must come out for the condition to hold.
    fn number_of(&mut self, attribute: &str, test: &Test) -> (usize, bool) {
        let place = self.attributes.iter().position(|tested| tested.name == attribute).unwrap_or(self.attributes.len());
        if place == self.attributes.len() {
            self.attributes.push(Tested { name: attribute.to_owned(), ..Tested::default() });
        }
        let next = self.tests;
        let Some(tested) = self.attributes.get_mut(place) else { return (next, true) };
        let wanted = *test != Test::Exists(false);
        let test = if wanted { test.clone() } else { Test::Exists(true) };
        let number = tested.number_of(test, next);
        self.tests = self.tests.max(number + 1);
        (number, wanted)
    }
}

// === impl Tested ===

impl Tested {
    /// The number of a test: a known one, or `next`.
    fn number_of(&mut self, test: Test, next: usize) -> usize {
        if let Some(known) = self.numbers_of.get(&test) {
            return *known;
        }
        match &test {
            Test::Exists(_) => self.exists = Some(next),
            Test::StartsWith(prefix) => self.prefixes.push((prefix.clone(), next)),
            Test::Like(parts) => self.likes.push((parts.clone(), next)),
            Test::EqualsString(_) | Test::EqualsNumber(_) | Test::EqualsBool(_) | Test::OneOf(_) => {
                test.values().iter().for_each(|value| self.note_constant(value, next));
            }
        }
        self.numbers_of.insert(test, next);
        next
    }

    fn note_constant(&mut self, value: &Constant, number: usize) {
        match value {
            Constant::String(text) => self.strings.entry(text.clone()).or_default().push(number),
            Constant::Number(digits) => self.numbers.entry(Decimal::of(digits)).or_default().push(number),
            Constant::Bool(value) => self.bools.entry(*value).or_default().push(number),
        }
    }

    /// Notes which of the tests hold for an image that can be read.
    fn note(&self, image: &Image<'_>, holding: &mut [bool]) {
        let Some(attribute) = image.get(&self.name) else { return };
        let mut note = |number: &usize| {
            if let Some(place) = holding.get_mut(*number) {
                *place = true;
            }
        };
        self.exists.iter().for_each(&mut note);
        match attribute.scalar() {
            Some(Scalar::String(text)) => {
                let text = text.decode();
                self.strings.get(text.as_ref()).into_iter().flatten().for_each(&mut note);
                let starts = |(prefix, _): &&(String, usize)| text.starts_with(prefix.as_str());
                self.prefixes.iter().filter(starts).for_each(|(_, number)| note(number));
                let like = |(parts, _): &&(Vec<String>, usize)| is_like(&text, parts);
                self.likes.iter().filter(like).for_each(|(_, number)| note(number));
            }
            Some(Scalar::Number(digits)) if !self.numbers.is_empty() => {
                self.numbers.get(&Decimal::of(&digits.decode())).into_iter().flatten().for_each(&mut note);
            }
            Some(Scalar::Bool(found)) => self.bools.get(&found).into_iter().flatten().for_each(&mut note),
            Some(Scalar::Number(_) | Scalar::Binary(_)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::event::image_of;
    use crate::operation::IndexName;
    use crate::route::Condition;

    fn test() -> impl Strategy<Value = Test> {
        let word = || proptest::sample::select(vec!["", "a", "ab", "b", "1"]).prop_map(str::to_owned);
        let number = proptest::sample::select(vec!["1", "1.0", "10E-1", "2", "-0", "0", "1e9999999999999999999"]);
        prop_oneof![
            any::<bool>().prop_map(Test::Exists),
            word().prop_map(Test::EqualsString),
            number.prop_map(|number| Test::EqualsNumber(number.to_owned())),
            any::<bool>().prop_map(Test::EqualsBool),
            word().prop_map(Test::StartsWith),
            vec(constant(), 0..4).prop_map(Test::OneOf),
            vec(word(), 2..4).prop_map(Test::Like),
        ]
    }

    fn constant() -> impl Strategy<Value = Constant> {
        let number = proptest::sample::select(vec!["1", "1.0", "2", "0"]);
        prop_oneof![
            "[ab]{0,2}".prop_map(Constant::String),
            number.prop_map(|number| Constant::Number(number.to_owned())),
            any::<bool>().prop_map(Constant::Bool),
        ]
    }

    fn route() -> impl Strategy<Value = Route> {
        let condition = ("[xyz]", test(), any::<bool>());
        vec(condition, 0..4).prop_map(|conditions| Route {
            when: conditions.into_iter().map(|(attribute, test, not)| Condition { attribute, test, not }).collect(),
            ..Route::to(IndexName::parse("i").unwrap())
        })
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            "[ab]{0,2}".prop_map(|text| json!({"S": text})),
            proptest::sample::select(vec!["1", "1.0", "2", "0", "1e9999999999999999999"]).prop_map(|n| json!({"N": n})),
            any::<bool>().prop_map(|value| json!({"BOOL": value})),
            Just(json!({"NULL": true})),
            Just(json!({"M": {"x": {"S": "a"}}})),
            Just(json!({"B": "YQ=="})),
            Just(json!({"Z": 1})),
        ]
    }

    proptest! {
        /// The prepared routes come to what asking each condition of each route comes to.
        #[test]
        fn the_first_match_is_the_one_that_asking_one_by_one_finds(
            routes in vec(route(), 0..6),
            item in proptest::collection::btree_map("[xyz]", value(), 0..4),
        ) {
            let image = image_of(item.into_iter().collect());
            let prepared = Routes::new(routes.clone());
            let place = |found: &Route| routes.iter().position(|route| route == found);
            let one_by_one = first_by_one(&prepared.routes, &image).map(|route| route.and_then(|found| place(found)));
            let found = prepared.first_match(&image).map(|route| route.and_then(|found| place(found)));
            prop_assert_eq!(found, one_by_one);
        }
    }
}

//! `when`: the conditions of a route.

use streamdex_mapping::{Condition, Constant, Test};

use super::name;
use crate::problem::Problems;
use crate::raw::{ConditionTable, RouteTable};
use crate::read::{Located, OneOrMany, Scalar};

/// Any text, in `like`.
const ANYTHING: char = '*';

/// All conditions of a route.
pub(super) fn conditions(table: &RouteTable, problems: &mut Problems) -> Vec<Condition> {
    match table.when.get() {
        None => Vec::new(),
        Some(OneOrMany::One(one)) => condition(one, problems).into_iter().collect(),
        Some(OneOrMany::Many(many)) => many.iter().filter_map(|one| condition(one, problems)).collect(),
    }
}

/// A value of the file.
pub(super) fn constant(scalar: &Scalar) -> Constant {
    match scalar {
        Scalar::Text(text) => Constant::String(text.clone()),
        Scalar::Number(text) => Constant::Number(text.clone()),
        Scalar::Boolean(boolean) => Constant::Bool(*boolean),
    }
}

fn condition(table: &Located<ConditionTable>, problems: &mut Problems) -> Option<Condition> {
    let attribute = table
        .attribute
        .required(&table.place, "attribute", problems)
        .filter(|name| name::is_attribute(name, &name.place, problems));
    let equals = table.equals.given().map(|scalar| match constant(scalar) {
        Constant::String(text) => Test::EqualsString(text),
        Constant::Number(text) => Test::EqualsNumber(text),
        Constant::Bool(boolean) => Test::EqualsBool(boolean),
    });
    let one_of = table.one_of.given().map(|list| {
        if list.is_empty() {
            problems.error_with_hint(&list.place, "an empty list matches nothing", "name the values");
        }
        Test::OneOf(list.iter().map(|value| constant(value)).collect())
    });
    let starts_with = table.starts_with.get().map(|text| Test::StartsWith(text.clone()));
    let like = table.like.given().and_then(|pattern| like(pattern, problems));
    let exists = table.exists.get().map(|exists| Test::Exists(*exists));
    let mut tests = [equals, one_of, starts_with, like, exists].into_iter().flatten();
    let test = tests.next();
    let hint = "give one of equals, one_of, starts_with, like and exists; several conditions are a list: when = [{ … }, { … }]";
    if tests.next().is_some() {
        problems.error_with_hint(&table.place, "a condition with several tests", hint);
    }
    let none_given = table.equals.is_absent()
        && table.one_of.is_absent()
        && table.starts_with.is_absent()
        && table.like.is_absent()
        && table.exists.is_absent();
    if test.is_none() && none_given && !problems.any_below(&table.place.path) {
        problems.error_with_hint(&table.place, "a condition without a test", hint);
    }
    Some(Condition { attribute: attribute?.value.clone(), test: test?, not: table.not.get().copied().unwrap_or(false) })
}

fn like(pattern: &Located<String>, problems: &mut Problems) -> Option<Test> {
    let parts: Vec<String> = pattern.split(ANYTHING).map(str::to_owned).collect();
    if parts.len() < 2 {
        let hint = format!("write equals = {:?}, or put a {ANYTHING:?} where any text may stand", pattern.value);
        problems.error_with_hint(&pattern.place, format!("like without a {ANYTHING:?} matches a single text"), hint);
        return None;
    }
    Some(Test::Like(parts))
}

//! Finds the route and the index of an image.

use crate::decimal;
use crate::image::{Attribute, AttributeProblem, Image, Scalar};
use crate::operation::{IndexName, IndexNameError};
use crate::route::{Condition, Constant, IndexPattern, PatternPart, Route, Test};
use crate::shape::Shaped;

/// Why an image that a route takes has no index. Values do not appear in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The attribute of a placeholder cannot be read, so that the index is not known.
    #[error(transparent)]
    Unreadable(AttributeProblem),
    /// The attribute of a placeholder is missing, or no string, number or boolean.
    #[error("index {pattern:?}: attribute {attribute:?} is missing, or is not a string, number or boolean")]
    Attribute {
        /// The index as the route gives it.
        pattern: String,
        /// The attribute of the placeholder.
        attribute: String,
    },
    /// What comes out is no index name.
    #[error("index {pattern:?}: {source}")]
    Name {
        /// The index as the route gives it.
        pattern: String,
        /// The rule that is broken.
        source: IndexNameError,
    },
}

/// The first route whose conditions all hold for `image`, asked one by one: also where attributes cannot be read.
///
/// # Errors
/// That depends on an attribute that cannot be read.
pub(crate) fn first_by_one<'r>(
    routes: &'r [Shaped],
    image: &Image<'_>,
) -> Result<Option<&'r Shaped>, AttributeProblem> {
    for route in routes {
        match verdict(route, image) {
            Verdict::Taken => return Ok(Some(route)),
            Verdict::Passed => {}
            Verdict::Unknown(problem) => return Err(problem),
        }
    }
    Ok(None)
}

/// Every route that may be the first one whose conditions hold for `image`.
pub(crate) fn possible_by_one<'r>(routes: &'r [Shaped], image: &Image<'_>) -> Vec<&'r Shaped> {
    let mut possible = Vec::new();
    for route in routes {
        match verdict(route, image) {
            Verdict::Taken => {
                possible.push(route);
                break;
            }
            Verdict::Passed => {}
            Verdict::Unknown(_) => possible.push(route),
        }
    }
    possible
}

/// What is known of a route and an image.
enum Verdict {
    /// All conditions hold.
    Taken,
    /// One does not.
    Passed,
    /// None is known to fail, and one depends on an attribute that cannot be read.
    Unknown(AttributeProblem),
}

fn verdict(route: &Route, image: &Image<'_>) -> Verdict {
    let mut unknown = None;
    for condition in &route.when {
        match holds(condition, image) {
            Ok(true) => {}
            Ok(false) => return Verdict::Passed,
            Err(problem) => unknown = Some(problem),
        }
    }
    unknown.map_or(Verdict::Taken, Verdict::Unknown)
}

/// Whether `condition` holds for `image`.
///
/// # Errors
/// Its attribute cannot be read.
pub(crate) fn holds(condition: &Condition, image: &Image<'_>) -> Result<bool, AttributeProblem> {
    let value = image.get(&condition.attribute);
    if let (Test::Exists(wanted), false) = (&condition.test, image.unreadable) {
        return Ok((value.is_some() == *wanted) != condition.not);
    }
    if let Some(problem) = image.problem_of(&condition.attribute) {
        return Err(problem);
    }
    let plain = value.and_then(constant_of).is_some_and(|value| condition.test.takes(&value));
    Ok(plain != condition.not)
}

impl Test {
    /// The values that it lets through, where it names them.
    pub fn values(&self) -> Vec<Constant> {
        match self {
            Test::EqualsString(text) => vec![Constant::String(text.clone())],
            Test::EqualsNumber(digits) => vec![Constant::Number(digits.clone())],
            Test::EqualsBool(value) => vec![Constant::Bool(*value)],
            Test::OneOf(values) => values.clone(),
            Test::StartsWith(_) | Test::Like(_) | Test::Exists(_) => Vec::new(),
        }
    }

    /// Whether an attribute with this value meets the test.
    pub fn takes(&self, value: &Constant) -> bool {
        match (self, value) {
            (Test::EqualsString(wanted), Constant::String(text)) => text == wanted,
            (Test::EqualsNumber(wanted), Constant::Number(digits)) => decimal::same_value(digits, wanted),
            (Test::EqualsBool(wanted), Constant::Bool(found)) => found == wanted,
            (Test::StartsWith(prefix), Constant::String(text)) => text.starts_with(prefix.as_str()),
            (Test::Like(parts), Constant::String(text)) => is_like(text, parts),
            (Test::OneOf(values), _) => values.iter().any(|wanted| is_same(value, wanted)),
            (Test::Exists(there), _) => *there,
            _ => false,
        }
    }
}

fn is_same(left: &Constant, right: &Constant) -> bool {
    match (left, right) {
        (Constant::Number(left), Constant::Number(right)) => decimal::same_value(left, right),
        (left, right) => left == right,
    }
}

/// The value of an attribute, where a condition can ask about it.
fn constant_of(attribute: &Attribute<'_>) -> Option<Constant> {
    match attribute.scalar()? {
        Scalar::String(text) => Some(Constant::String(text.decode().into_owned())),
        Scalar::Number(digits) => Some(Constant::Number(digits.decode().into_owned())),
        Scalar::Bool(value) => Some(Constant::Bool(value)),
        Scalar::Binary(_) => None,
    }
}

/// Whether `text` is the parts in their order, with anything between them.
pub fn is_like(text: &str, parts: &[String]) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
        return false;
    };
    // Taking the first place of each leaves the most for those behind it.
    let behind = |rest: &str, part: &String| rest.split_once(part.as_str()).map(|(_, rest)| rest.to_owned());
    middle.iter().try_fold(rest.to_owned(), |rest, part| behind(&rest, part)).is_some()
}

/// The index that `route` sends `image` to.
pub(crate) fn index_of(route: &Route, image: &Image<'_>) -> Result<IndexName, PatternError> {
    match &route.index {
        IndexPattern::Fixed(name) => Ok(name.clone()),
        IndexPattern::Placeholders { text, parts } => fill_in(text, parts, image),
    }
}

fn fill_in(pattern: &str, parts: &[PatternPart], image: &Image<'_>) -> Result<IndexName, PatternError> {
    let mut name = String::new();
    for part in parts {
        match part {
            PatternPart::Literal(literal) => name.push_str(literal),
            PatternPart::Attribute(attribute) => {
                if let Some(problem) = image.problem_of(attribute) {
                    return Err(PatternError::Unreadable(problem));
                }
                let value = image.get(attribute).and_then(|value| match value.scalar()? {
                    Scalar::String(text) | Scalar::Number(text) => Some(text.decode().to_lowercase()),
                    Scalar::Bool(value) => Some(value.to_string()),
                    Scalar::Binary(_) => None,
                });
                let missing = || PatternError::Attribute { pattern: pattern.to_owned(), attribute: attribute.clone() };
                name.push_str(&value.ok_or_else(missing)?);
            }
        }
    }
    IndexName::parse(&name)
        .map_err(|source| PatternError::Name { pattern: pattern.to_owned(), source: private(source) })
}

/// The character that broke the rule comes from a value, so it is not repeated.
fn private(error: IndexNameError) -> IndexNameError {
    match error {
        IndexNameError::Character(_) => IndexNameError::CharacterOfValue,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read_item;

    fn image(text: &str) -> Image<'_> {
        read_item(text).unwrap()
    }

    fn like(pattern: &str) -> Test {
        Test::Like(pattern.split('*').map(str::to_owned).collect())
    }

    #[test]
    fn conditions() {
        let image = image(r#"{"s":{"S":"ses\u0073ion"},"n":{"N":"1.0"},"b":{"BOOL":true},"z":{"NULL":true}}"#);
        let table = [
            ("s", Test::EqualsString("session".into()), true),
            ("s", Test::EqualsString("x".into()), false),
            ("n", Test::EqualsString("1.0".into()), false),
            ("n", Test::EqualsNumber("1".into()), true),
            ("s", Test::EqualsNumber("1".into()), false),
            ("b", Test::EqualsBool(true), true),
            ("b", Test::EqualsBool(false), false),
            ("s", Test::StartsWith("ses".into()), true),
            ("s", Test::StartsWith("x".into()), false),
            ("s", Test::OneOf(vec![Constant::Bool(true), Constant::String("session".into())]), true),
            ("s", Test::OneOf(vec![Constant::Number("1".into())]), false),
            ("n", Test::OneOf(vec![Constant::Number("1".into())]), true),
            ("z", Test::OneOf(Vec::new()), false),
            ("s", like("ses*"), true),
            ("s", like("*ss*on"), true),
            ("s", like("*s*s*s*"), true),
            ("s", like("*s*s*s*s*"), false),
            ("s", like("session*session"), false),
            ("s", like("s*x*n"), false),
            ("n", like("*"), false),
            ("z", Test::Exists(true), true),
            ("q", Test::Exists(true), false),
            ("q", Test::Exists(false), true),
            ("q", Test::EqualsBool(true), false),
        ];
        for (attribute, test, expected) in table {
            let condition = Condition { attribute: attribute.into(), test, not: false };
            assert_eq!(holds(&condition, &image), Ok(expected), "{condition:?}");
            let negated = Condition { not: true, ..condition };
            assert_eq!(holds(&negated, &image), Ok(!expected), "{negated:?}");
        }
    }

    #[test]
    fn placeholders() {
        let parts = vec![PatternPart::Literal("orders-".into()), PatternPart::Attribute("region".into())];
        let index = IndexPattern::Placeholders { text: "orders-{region}".into(), parts };
        let route = Route { index, ..Route::to(IndexName::parse("x").unwrap()) };
        let of = |text| index_of(&route, &image(text)).map(|name| name.as_str().to_owned());
        assert_eq!(of(r#"{"region":{"S":"EU-West"}}"#).unwrap(), "orders-eu-west");
        assert_eq!(of(r#"{"region":{"N":"7"}}"#).unwrap(), "orders-7");
        assert!(matches!(of(r#"{"region":{"S":"a b"}}"#), Err(PatternError::Name { .. })));
        assert!(matches!(of(r#"{"region":{"S":"000001"}}"#), Err(PatternError::Name { .. })));
        assert!(matches!(of("{}"), Err(PatternError::Attribute { .. })));
    }
}

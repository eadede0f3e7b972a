//! Index names with placeholders: `orders-{region}`.

use streamdex_mapping::route::PatternPart;
use streamdex_mapping::{IndexName, IndexPattern};

use super::name;
use crate::problem::Problems;
use crate::read::Located;

/// Reads the `index` of a route.
pub(super) fn pattern(text: &Located<String>, problems: &mut Problems) -> Option<IndexPattern> {
    if !text.contains(['{', '}']) {
        return fixed(text, problems).map(IndexPattern::Fixed);
    }
    let Some(parts) = split(text) else {
        problems.error_with_hint(&text.place, "unbalanced braces", "write a placeholder as {attribute}");
        return None;
    };
    let mut good = true;
    for part in &parts {
        if let PatternPart::Attribute(attribute) = part {
            good &= name::is_attribute(attribute, &text.place, problems);
        }
    }
    // The literal parts must be able to give a name; any value may still not.
    let sample: String = parts
        .iter()
        .map(|part| match part {
            PatternPart::Literal(literal) => literal.to_lowercase(),
            PatternPart::Attribute(_) => "a".to_owned(),
        })
        .collect();
    if let Err(error) = IndexName::parse(&sample) {
        problems.error(&text.place, error.to_string());
        return None;
    }
    good.then(|| IndexPattern::Placeholders { text: text.value.clone(), parts })
}

/// Reads the name of one index.
pub(super) fn fixed(text: &Located<String>, problems: &mut Problems) -> Option<IndexName> {
    match IndexName::parse(text) {
        Ok(name) => Some(name),
        Err(error) => {
            let lower = text.to_lowercase();
            match IndexName::parse(&lower) {
                Ok(_) => problems.error_with_hint(&text.place, error.to_string(), format!("write {lower:?}")),
                Err(_) => problems.error(&text.place, error.to_string()),
            }
            None
        }
    }
}

fn split(text: &str) -> Option<Vec<PatternPart>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (literal, after) = match rest.split_once('{') {
            Some((literal, after)) => (literal, Some(after)),
            None => (rest, None),
        };
        if literal.contains('}') {
            return None;
        }
        if !literal.is_empty() {
            parts.push(PatternPart::Literal(literal.to_owned()));
        }
        let Some(after) = after else {
            return Some(parts);
        };
        let (attribute, after) = after.split_once('}')?;
        if attribute.contains('{') {
            return None;
        }
        parts.push(PatternPart::Attribute(attribute.to_owned()));
        rest = after;
    }
}

/// Whether two patterns can give the same index, whatever the attributes hold. Says yes where it is not sure: that one
/// attribute stands in both, or that a name would be too long, does not matter here.
pub(super) fn may_meet(one: &IndexPattern, other: &IndexPattern) -> bool {
    let (one, other) = (glyphs(one), glyphs(other));
    // Rows and columns are what is left of `one` and of `other`, shortest first. With nothing left of `one`, only
    // placeholders may be left of the other.
    let open = other.iter().rev().take_while(|glyph| **glyph == Glyph::Any).count();
    let mut row: Vec<bool> = (0..=other.len()).map(|left| left <= open).collect();
    for glyph in one.iter().rev() {
        let mut next = vec![*glyph == Glyph::Any && row.first() == Some(&true)];
        for (theirs, below) in other.iter().rev().zip(row.windows(2)) {
            let [without_both, without_ours] = below else { continue };
            let without_theirs = next.last() == Some(&true);
            next.push(match (glyph, theirs) {
                (Glyph::Any, _) | (_, Glyph::Any) => *without_ours || without_theirs,
                (Glyph::Char(ours), Glyph::Char(theirs)) => ours == theirs && *without_both,
            });
        }
        row = next;
    }
    row.last() == Some(&true)
}

/// A character of a pattern, or a placeholder, which can give any number of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Glyph {
    Char(char),
    Any,
}

fn glyphs(pattern: &IndexPattern) -> Vec<Glyph> {
    let literal = |text: &str| text.to_lowercase().chars().map(Glyph::Char).collect::<Vec<_>>();
    match pattern {
        IndexPattern::Fixed(name) => literal(name.as_str()),
        IndexPattern::Placeholders { parts, .. } => parts
            .iter()
            .flat_map(|part| match part {
                PatternPart::Literal(text) => literal(text),
                PatternPart::Attribute(_) => vec![Glyph::Any],
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Place;

    fn read(text: &str) -> Option<IndexPattern> {
        pattern(&Located { value: text.to_owned(), place: Place::default() }, &mut Problems::default())
    }

    #[test]
    fn placeholders_are_split() {
        let Some(IndexPattern::Placeholders { text, parts }) = read("Orders-{region}-{kind}") else { panic!() };
        assert_eq!(text, "Orders-{region}-{kind}");
        let literal = |text: &str| PatternPart::Literal(text.to_owned());
        let attribute = |text: &str| PatternPart::Attribute(text.to_owned());
        assert_eq!(parts, [literal("Orders-"), attribute("region"), literal("-"), attribute("kind")]);
        assert!(matches!(read("orders"), Some(IndexPattern::Fixed(_))));
        for bad in
            ["orders-{", "orders-}", "o-{a}}", "o-{{a}}", "o-{}", "o-{a.b}", "-{a}", "o-{a}-live", "o {a}", "Orders"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn patterns_meet_where_some_values_give_one_name() {
        let rows = [
            ("orders", "orders", true),
            ("orders", "order", false),
            ("orders-{r}", "orders-eu", true),
            ("orders-{r}", "sessions", false),
            ("{a}-x", "{b}-y", false),
            ("{a}-x", "orders-{b}", true),
            ("{a}", "anything", true),
            ("Orders-{r}", "orders-eu", true),
            ("orders-{r}-x-{n}", "orders-eu-1", false),
            ("orders-{r}-x-{n}", "orders-eu-x-1", true),
            ("a-{x}-b-{y}", "a-{z}-c", true),
            ("ab{x}ab", "ab", false),
            ("{a}-{b}", "{c}", true),
            ("{a}-b", "{c}_d{e}", true),
        ];
        for (one, other, expected) in rows {
            let (one, other) = (read(one).unwrap(), read(other).unwrap());
            assert_eq!(may_meet(&one, &other), expected, "{} {}", one.text(), other.text());
        }
    }
}

//! A parsed file as a tree in which every value knows its place, with the environment put in.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::environment::{Expanded, expand};
use crate::problem::{Place, Problems};

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A TOML value. Numbers stay text, so that no digit is lost.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text {
        /// With the environment put in.
        text: String,
        /// As it stands in the file: what messages quote.
        written: String,
    },
    Integer(String),
    Float(String),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Vec<Entry>),
    /// Its problem is already reported.
    Unusable,
}

/// A key of a table; the place of the key is that of `key_place`, the value has its own.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

/// Parses `text`. Text that is no TOML gives `None`, and a problem for each mistake.
pub(crate) fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) -> Option<Node> {
    let lines = Lines::of(text);
    let (document, mistakes) = DeTable::parse_recoverable(text);
    for mistake in &mistakes {
        let line = mistake.span().map(|span| lines.line(span.start));
        let place = Place { path: String::new(), line };
        let message = format!("not TOML: {}", mistake.message());
        match line.and_then(|line| text.lines().nth(line.saturating_sub(1))).and_then(list_of_tables) {
            Some(hint) => problems.error_with_hint(&place, message, hint),
            None => problems.error(&place, message),
        }
    }
    if !mistakes.is_empty() {
        return None;
    }
    let mut builder = Builder { lines, env, problems };
    let value = builder.table(document.get_ref(), &Place::default());
    Some(Node { place: Place::default(), value })
}

/// What to do about a mistake in this line, where it is the head of a table that there may be several of.
fn list_of_tables(line: &str) -> Option<String> {
    let head = line.split('#').next()?.trim();
    let name = head.strip_prefix('[')?.strip_suffix(']')?.trim_matches(['[', ']', ' ']);
    matches!(name, "route" | "source").then(|| format!("write each of them as [[{name}]], the first one too"))
}

struct Builder<'a> {
    lines: Lines,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Problems,
}

/// The offset at which each line starts.
struct Lines(Vec<usize>);

// === impl Builder ===

impl Builder<'_> {
    fn node(&mut self, value: &Spanned<DeValue<'_>>, place: Place) -> Node {
        let value = match value.get_ref() {
            DeValue::String(written) => self.text(written, &place),
            DeValue::Integer(integer) => decimal(integer),
            DeValue::Float(float) => Value::Float(float.as_str().trim_start_matches('+').to_owned()),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Array(elements) => {
                let nodes = elements.iter().enumerate().map(|(index, element)| {
                    let line = self.lines.line(element.span().start);
                    self.node(element, place.element(index, Some(line)))
                });
                Value::Array(nodes.collect())
            }
            DeValue::Table(table) => self.table(table, &place),
        };
        Node { place, value }
    }

    fn table(&mut self, table: &DeTable<'_>, place: &Place) -> Value {
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let entries = keys.into_iter().map(|(key, value)| {
            let key_place = place.key(key.get_ref(), Some(self.lines.line(key.span().start)));
            let node = self.node(value, key_place.clone());
            // `[index."sessions-${STAGE}"]` has to name what `index = "sessions-${STAGE}"` gives.
            let key = match self.text(key.get_ref(), &key_place) {
                Value::Text { text, .. } => text,
                _ => key.get_ref().to_string(),
            };
            Entry { key, key_place, node }
        });
        Value::Table(entries.collect())
    }

    fn text(&mut self, written: &str, place: &Place) -> Value {
        match expand(written, self.env) {
            Expanded::Text(text) => Value::Text { text, written: written.to_owned() },
            Expanded::Unset(names) => {
                for name in names {
                    let hint = format!("set {name}, or write ${{{name}:-default}}");
                    self.problems.error_with_hint(place, format!("the environment variable {name} is not set"), hint);
                }
                Value::Unusable
            }
            Expanded::Malformed => {
                let hint = "write ${NAME} or ${NAME:-default}, and $${ for the characters themselves";
                self.problems.error_with_hint(place, "a '${' that does not begin a variable", hint);
                Value::Unusable
            }
        }
    }
}

fn decimal(integer: &DeInteger<'_>) -> Value {
    if integer.radix() == 10 {
        return Value::Integer(integer.as_str().trim_start_matches('+').to_owned());
    }
    match i128::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) => Value::Integer(number.to_string()),
        Err(_) => Value::Integer(integer.as_str().to_owned()),
    }
}

// === impl Lines ===

impl Lines {
    fn of(text: &str) -> Lines {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        Lines(std::iter::once(0).chain(breaks).collect())
    }

    /// The line, from 1, that `offset` is on.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset).max(1)
    }
}

// === impl Value ===

impl Value {
    /// What it is, as messages say it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Text { .. } => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Datetime => "a date",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
            Value::Unusable => "unusable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let lines = Lines::of("a\nbc\n\nd");
        let counted: Vec<usize> = (0..7).map(|offset| lines.line(offset)).collect();
        assert_eq!(counted, [1, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn every_syntax_mistake_has_its_line() {
        let mut problems = Problems::default();
        assert!(parse("a = 1\nb = \nc = 2\nd = [1,\n", &|_| None, &mut problems).is_none());
        let (errors, _) = problems.finish();
        assert!(errors.len() >= 2, "{errors:?}");
        assert_eq!(errors[0].line, Some(2));
    }

    #[test]
    fn unset_names_are_all_reported() {
        let mut problems = Problems::default();
        parse("a = '${ONE}'\n[t]\nb = ['x', '${TWO}-${THREE}']\n", &|_| None, &mut problems).unwrap();
        let (errors, _) = problems.finish();
        let seen: Vec<_> = errors.iter().map(|e| (e.path.as_str(), e.line)).collect();
        assert_eq!(seen, [("a", Some(1)), ("t.b[1]", Some(3)), ("t.b[1]", Some(3))]);
    }
}

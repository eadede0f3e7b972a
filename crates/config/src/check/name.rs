//! Names of attributes, fields, tables and deployments.

use streamdex_mapping::Path;
use streamdex_mapping::document::is_reserved_field;

use crate::problem::{Place, Problems};
use crate::read::Located;

/// A top-level attribute. `.` and `\` are of paths.
pub(super) fn is_attribute(name: &str, place: &Place, problems: &mut Problems) -> bool {
    if name.is_empty() {
        problems.error(place, "an attribute's name cannot be empty");
        return false;
    }
    if name.contains(['.', '\\']) {
        let hint =
            "name a whole attribute; only include, exclude, as_json, numbers_as_string, dates and set accept paths";
        problems.error_with_hint(place, format!("a path instead of an attribute's name ({name:?})"), hint);
        return false;
    }
    true
}

/// The names of `list` that are attributes; names given twice are reported.
pub(super) fn attributes(list: &[Located<String>], problems: &mut Problems) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(list.len());
    for name in list {
        if !is_attribute(name, &name.place, problems) {
            continue;
        }
        if names.contains(name) {
            problems.error(&name.place, format!("{:?} is given twice", name.value));
        } else {
            names.push(name.value.clone());
        }
    }
    names
}

/// A place in an item.
pub(super) fn path(text: &Located<String>, problems: &mut Problems) -> Option<Path> {
    let parsed = Path::parse(text);
    if let Err(error) = parsed {
        let hint = r"join names with dots: user.name; write a dot inside a name as \.: a\.b";
        problems.error_with_hint(&text.place, error.to_string(), hint);
    }
    parsed.ok()
}

/// The paths of `list`; what is given twice, or lies inside another, is reported.
pub(super) fn paths(list: &[Located<String>], problems: &mut Problems) -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::with_capacity(list.len());
    for text in list {
        let Some(path) = path(text, problems) else { continue };
        if paths.contains(&path) {
            problems.error(&text.place, format!("{:?} is given twice", text.value));
            continue;
        }
        if let Some(other) = paths.iter().find(|other| other.holds(&path) || path.holds(other)) {
            let (inner, outer) = if other.holds(&path) { (&path, other) } else { (other, &path) };
            let message = format!("{:?} is in {:?} already", inner.to_string(), outer.to_string());
            problems.warning(&text.place, message, "remove one of them");
        }
        paths.push(path);
    }
    paths
}

/// A name for a field of the document.
pub(super) fn is_field(name: &Located<String>, problems: &mut Problems) -> bool {
    if !is_attribute(name, &name.place, problems) {
        return false;
    }
    if is_reserved_field(name) {
        problems.error(&name.place, format!("{:?} is a name that OpenSearch reserves", name.value));
        return false;
    }
    true
}

/// The name of a DynamoDB table: 3 to 255 letters, digits, `_`, `-`, `.`.
pub(super) fn is_table(name: &Located<String>, problems: &mut Problems) -> bool {
    let good = (3..=255).contains(&name.len()) && is_plain(name);
    if !good {
        let hint = if name.starts_with("arn:") {
            "give only the table's name, or use stream_arn instead"
        } else {
            "give the name as DynamoDB shows it"
        };
        problems.error_with_hint(&name.place, "a table's name has 3 to 255 letters, digits, '_', '-' or '.'", hint);
    }
    good
}

/// The name of a source or a group: part of keys in the state table.
pub(super) fn is_label(name: &Located<String>, problems: &mut Problems) -> bool {
    let good = (1..=255).contains(&name.len()) && is_plain(name);
    if !good {
        problems.error(&name.place, "this name has 1 to 255 letters, digits, '_', '-' or '.'");
    }
    good
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

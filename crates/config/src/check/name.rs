//! Names of attributes, fields, tables and deployments.

use streamdex_mapping::document::is_reserved_field;

use crate::problem::{Place, Problems};
use crate::read::Located;

/// A top-level attribute. `.` and `\` belong to the path grammar of a later version.
pub(super) fn is_attribute(name: &str, place: &Place, problems: &mut Problems) -> bool {
    if name.is_empty() {
        problems.error(place, "an attribute's name cannot be empty");
        return false;
    }
    if name.contains(['.', '\\']) {
        problems.later(place, &format!("a name with '.' or '\\' ({name:?})"));
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

/// A name for a field of the document.
pub(super) fn is_field(name: &Located<String>, problems: &mut Problems) -> bool {
    if !is_attribute(name, &name.place, problems) {
        return false;
    }
    if is_reserved_field(name) {
        problems.error(&name.place, format!("{:?} is a name that OpenSearch keeps for itself", name.value));
        return false;
    }
    true
}

/// The name of a DynamoDB table: 3 to 255 letters, digits, `_`, `-`, `.`.
pub(super) fn is_table(name: &Located<String>, problems: &mut Problems) -> bool {
    let good = (3..=255).contains(&name.len()) && is_plain(name);
    if !good {
        let hint = if name.starts_with("arn:") {
            "give the table's name alone, or stream_arn in its place"
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

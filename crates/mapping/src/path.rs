//! Places in an item: names of attributes and of members of maps, joined by dots.

use std::fmt;

/// A place in an item. It leads through lists: `lines.sku` is the member `sku` of every map in the list `lines`.
///
/// As a text, names are joined by `.`; a dot or a backslash inside a name has a backslash before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Vec<String>);

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing before, between or behind the dots.
    #[error("a name in a path cannot be empty")]
    EmptyName,
    /// A backslash before anything but a dot or a backslash.
    #[error("in a path, a backslash can only escape a dot or a backslash")]
    Escape,
}

// === impl Path ===

impl Path {
    /// The place that `text` names.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let (mut names, mut name) = (Vec::new(), String::new());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '.' => names.push(std::mem::take(&mut name)),
                '\\' => match characters.next() {
                    Some(escaped @ ('.' | '\\')) => name.push(escaped),
                    _ => return Err(PathError::Escape),
                },
                other => name.push(other),
            }
        }
        names.push(name);
        if names.iter().any(String::is_empty) {
            return Err(PathError::EmptyName);
        }
        Ok(Path(names))
    }

    /// The names on the way, the attribute's first; at least one.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The attribute that the place is in.
    pub fn attribute(&self) -> &str {
        self.0.first().map(String::as_str).unwrap_or_default()
    }

    /// Whether it is a whole attribute.
    pub fn is_attribute(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether `other` is this place, or lies inside it.
    pub fn holds(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }
}

/// An attribute of this name, whatever signs are in it.
impl From<&str> for Path {
    fn from(attribute: &str) -> Path {
        Path(vec![attribute.to_owned()])
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().enumerate() {
            let dot = if place > 0 { "." } else { "" };
            write!(f, "{dot}{}", name.replace('\\', r"\\").replace('.', r"\."))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_joined_by_dots_and_dots_are_escaped() {
        for (text, names) in [
            ("a", &["a"][..]),
            ("a.b.c", &["a", "b", "c"]),
            (r"a\.b.c", &["a.b", "c"]),
            (r"a\\.b", &[r"a\", "b"]),
            ("ü z", &["ü z"]),
        ] {
            let path = Path::parse(text).unwrap();
            assert_eq!(path.names(), names, "{text}");
            assert_eq!(path.to_string(), text);
        }
        for wrong in ["", ".", "a.", ".a", "a..b"] {
            assert_eq!(Path::parse(wrong), Err(PathError::EmptyName), "{wrong}");
        }
        for wrong in [r"a\", r"a\b", r"\"] {
            assert_eq!(Path::parse(wrong), Err(PathError::Escape), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_read_as_it_is_written(names in proptest::collection::vec(r"[a.\\é]{1,3}", 1..4)) {
            let path = Path(names);
            prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
        }
    }
}

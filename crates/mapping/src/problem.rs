//! What is wrong with an attribute, or with an image as a whole.

/// What is wrong with an attribute. It names the top-level attribute, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", place_of(attribute))]
pub struct AttributeProblem {
    /// The top-level attribute; empty where the image as a whole is wrong.
    pub attribute: String,
    /// What is wrong.
    pub kind: AttributeProblemKind,
}

/// The kinds of [`AttributeProblem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeProblemKind {
    /// A value without a type tag.
    #[error("a value has no type tag")]
    NoTag,
    /// A type tag that DynamoDB does not have.
    #[error("a value has an unknown type tag")]
    UnknownTag,
    /// More than one type tag in one value.
    #[error("a value has several type tags")]
    SeveralTags,
    /// A value that is not what its type tag says.
    #[error("a value does not fit its type tag")]
    WrongValue,
    /// An `N` that is no decimal number.
    #[error("a number is not decimal digits")]
    NotANumber,
    /// A value of another shape than an attribute value's, or nested too deep.
    #[error("a value is no attribute value, or is nested too deep")]
    Unreadable,
    /// The image as a whole is no map of attributes.
    #[error("the image is no map of attributes")]
    NoImage,
}

// === impl AttributeProblem ===

fn place_of(attribute: &str) -> String {
    match attribute {
        "" => String::new(),
        name => format!("attribute {:?}: ", short_name(name)),
    }
}

/// A name for a message: names may have 64 KB, and messages are kept.
pub(crate) fn short_name(name: &str) -> String {
    const LONGEST: usize = 100;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

// === impl AttributeProblemKind ===

impl AttributeProblemKind {
    /// A word for the kind of problem.
    pub fn name(self) -> &'static str {
        match self {
            AttributeProblemKind::NoTag => "no_type_tag",
            AttributeProblemKind::UnknownTag => "unknown_type_tag",
            AttributeProblemKind::SeveralTags => "several_type_tags",
            AttributeProblemKind::WrongValue => "wrong_value",
            AttributeProblemKind::NotANumber => "not_a_number",
            AttributeProblemKind::Unreadable => "unreadable_value",
            AttributeProblemKind::NoImage => "unreadable_image",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_in_messages() {
        let problem = AttributeProblem { attribute: "é".repeat(60_000), kind: AttributeProblemKind::NoTag };
        assert!(problem.to_string().len() < 300);
    }
}

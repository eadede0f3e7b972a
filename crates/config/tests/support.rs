//! Small files with one thing in them that matters.

use streamdex_config::Problem;

use crate::parse;

pub(crate) const SOURCE: &str = "[source]\ntable = \"app\"\n";
pub(crate) const OPENSEARCH: &str = "[opensearch]\nurl = \"http://localhost:9200\"\n";
pub(crate) const ROUTE: &str = "[[route]]\nindex = \"app\"\n";

pub(crate) fn problems_of(text: &str) -> Vec<Problem> {
    match parse(text) {
        Ok(_) => panic!("this should not be taken:\n{text}"),
        Err(error) => error.problems().to_vec(),
    }
}

/// The one problem of a text.
#[track_caller]
pub(crate) fn only(text: &str, path: &str, part: &str) {
    let problems = problems_of(text);
    let [problem] = problems.as_slice() else { panic!("{part}: {problems:#?}\n{text}") };
    assert_eq!(problem.path, path, "{problem}\n{text}");
    let whole = problem.to_string();
    assert!(whole.contains(part), "expected {part:?}:\n{whole}\n{text}");
}

pub(crate) fn with_source(lines: &str) -> String {
    format!("[source]\n{lines}\n{OPENSEARCH}{ROUTE}")
}

pub(crate) fn with_opensearch(lines: &str) -> String {
    format!("{SOURCE}[opensearch]\n{lines}\n{ROUTE}")
}

pub(crate) fn with_route(lines: &str) -> String {
    format!("{SOURCE}{OPENSEARCH}[[route]]\n{lines}")
}

pub(crate) fn with(lines: &str) -> String {
    format!("{SOURCE}{OPENSEARCH}{ROUTE}{lines}")
}

/// The places and messages of the warnings of a text that is taken.
#[track_caller]
pub(crate) fn warned(text: &str) -> Vec<(String, String)> {
    let loaded = parse(text).unwrap_or_else(|error| panic!("{error}"));
    loaded.warnings.into_iter().map(|warning| (warning.path, warning.message)).collect()
}

//! `[lambda]`.

use std::time::Duration;

use crate::model::Lambda;
use crate::problem::Problems;
use crate::raw::Root;

/// How the Lambda function works.
pub(super) fn lambda(root: &Root, problems: &mut Problems) -> Lambda {
    let margin = root.lambda.get().and_then(|table| table.deadline_margin.given());
    let Some(margin) = margin else { return Lambda::default() };
    if !(Duration::from_millis(200)..=Duration::from_secs(300)).contains(&margin.0) {
        problems.error_with_hint(&margin.place, "this margin is out of range", "give 200ms to 5m");
    }
    Lambda { deadline_margin: margin.0 }
}

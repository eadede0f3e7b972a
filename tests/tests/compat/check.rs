//! One check of an engine.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::lab::Lab;
use super::outcome::Outcome;

/// One sentence, and how it is tried.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn Fn(Arc<Lab>) -> Running>,
}

pub(crate) type Running = Pin<Box<dyn Future<Output = Outcome>>>;

/// A check that is an `async fn` over the lab.
pub(crate) fn check<F, Trial>(name: &'static str, run: F) -> Check
where
    F: Fn(Arc<Lab>) -> Trial + 'static,
    Trial: Future<Output = Outcome> + 'static,
{
    Check { name, run: Box::new(move |lab| Box::pin(run(lab))) }
}

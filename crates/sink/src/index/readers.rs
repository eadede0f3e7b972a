//! Decides which group manages the aliases of searches: during a rebuild, two groups write generations of an index.

use std::fmt;

use async_trait::async_trait;

use super::error::{OwnerUnknown, SetupError};
use super::steps::Step;
use super::wanted::Wanted;

/// Says which group makes the aliases of an index (rule N1): one that writes a generation which searches do not see makes
/// none, not even of a name that is new.
#[async_trait]
pub trait ReaderAliases: fmt::Debug + Send + Sync {
    /// Whether this group makes those of the indices of a table.
    ///
    /// # Errors
    /// It is not known now.
    async fn are_ours(&self, table_arn: &str) -> Result<bool, OwnerUnknown>;
}

/// Leaves out of `steps` the aliases that another group makes. Asks only where a step makes one.
pub(super) async fn without_others(
    readers: Option<&dyn ReaderAliases>,
    wanted: &Wanted,
    steps: Vec<Step>,
) -> Result<Vec<Step>, SetupError> {
    let makes_any =
        |step: &Step| matches!(step, Step::Create(aliases) | Step::AddAliases(aliases) if !aliases.is_empty());
    let (Some(readers), Some(arn)) = (readers, &wanted.owner.table_arn) else { return Ok(steps) };
    if !steps.iter().any(makes_any) || readers.are_ours(arn).await? {
        return Ok(steps);
    }
    let without = steps.into_iter().filter_map(|step| match step {
        Step::Create(_) => Some(Step::Create(Vec::new())),
        Step::AddAliases(_) => None,
        other => Some(other),
    });
    Ok(without.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::catalog::{Catalog, SetupContext, TableFacts};
    use crate::index::samples::{config, name, session_route};
    use crate::index::wanted::{Alias, Offering};

    #[derive(Debug)]
    struct Says(Result<bool, OwnerUnknown>);

    #[async_trait]
    impl ReaderAliases for Says {
        async fn are_ours(&self, _table_arn: &str) -> Result<bool, OwnerUnknown> {
            self.0.clone()
        }
    }

    #[tokio::test]
    async fn n1_only_the_group_that_owns_them_makes_the_readers_aliases() {
        let facts = TableFacts { arn: Some("arn".into()), ..TableFacts::default() };
        let config = config(vec![session_route()]);
        let catalog = Catalog::new(&config, &SetupContext::new().with_table(config.sources[0].name.clone(), facts));
        let wanted = Wanted::new(catalog.find(&name("sessions")).unwrap(), "sessions", Offering::Cluster);
        let all = vec![Step::Template, Step::Create(vec![Alias::Reader]), Step::AddAliases(vec![Alias::Live])];
        let left = async |says: Option<&dyn ReaderAliases>, steps: &Vec<Step>| {
            without_others(says, &wanted, steps.clone()).await
        };
        assert_eq!(left(None, &all).await.unwrap(), all);
        assert_eq!(left(Some(&Says(Ok(true))), &all).await.unwrap(), all);
        let others = left(Some(&Says(Ok(false))), &all).await.unwrap();
        assert_eq!(others, [Step::Template, Step::Create(Vec::new())]);
        let unknown = Says(Err(OwnerUnknown { reason: "x".into(), passes: true }));
        assert!(left(Some(&unknown), &all).await.is_err());
        let none = vec![Step::Create(Vec::new())];
        assert_eq!(left(Some(&unknown), &none).await.unwrap(), none, "nobody is asked");
    }
}

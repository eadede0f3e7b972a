//! The index names of a configuration, without asking OpenSearch.

use streamdex_config::{Config, Manage};
use streamdex_mapping::IndexName;

use super::catalog::{Catalog, SetupContext};
use super::wanted::{Offering, Wanted, of_generation};

/// The names that belong to one index of the configuration, with `*` for each placeholder of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexNames {
    /// Who makes the index.
    pub manage: Manage,
    /// The name that documents are written to.
    pub concrete: String,
    /// The aliases that set-up makes; none where the user makes the index.
    pub aliases: Vec<String>,
}

/// The names that documents are written to under a configuration. Asks OpenSearch nothing.
#[derive(Debug, Clone)]
pub struct ConcreteNames(Catalog);

// === impl ConcreteNames ===

impl ConcreteNames {
    /// The names that the routes of `config` give.
    pub fn new(config: &Config) -> ConcreteNames {
        ConcreteNames(Catalog::new(config, &SetupContext::new()))
    }

    /// The name that the documents of `index` go to, as `sessions-000001`; `None` where no route gives `index`.
    pub fn find(&self, index: &IndexName) -> Option<String> {
        let settings = &self.0.find(index)?.settings;
        Some(of_generation(index, settings.manage, settings.generation))
    }
}

/// The names of all indices that the routes of `config` give: what access must be granted to.
pub fn index_names(config: &Config) -> Vec<IndexNames> {
    let catalog = Catalog::new(config, &SetupContext::new());
    let names = catalog.entries().iter().map(|entry| {
        let wanted = Wanted::new(entry, &entry.pattern(), Offering::Cluster);
        let aliases = match wanted.manage {
            Manage::Create => wanted.aliases().into_iter().map(|alias| wanted.alias_name(alias)).collect(),
            Manage::Check | Manage::Never => Vec::new(),
        };
        IndexNames { manage: wanted.manage, concrete: wanted.concrete, aliases }
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::samples::{config, route, session_route};
    use streamdex_config::IndexSettings;
    use streamdex_mapping::route::PatternPart;
    use streamdex_mapping::{IndexPattern, Route};

    #[test]
    fn every_name_of_a_configuration_is_told() {
        let parts = vec![PatternPart::Literal("Orders-".into()), PatternPart::Attribute("region".into())];
        let pattern = IndexPattern::Placeholders { text: "Orders-{region}".into(), parts };
        let placeholders = Route { index: pattern, ..route("orders") };
        let mut config = config(vec![placeholders, session_route(), route("own")]);
        let own = IndexSettings { manage: Manage::Check, generation: 3, ..IndexSettings::default() };
        config.indices.insert("own".into(), own);
        let of_index = |manage, concrete: &str, aliases: &[&str]| IndexNames {
            manage,
            concrete: concrete.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        };
        let mut names = index_names(&config);
        names.sort_by(|one, other| one.concrete.cmp(&other.concrete));
        let expected = [
            of_index(Manage::Create, "orders-*-000001", &["orders-*"]),
            of_index(Manage::Check, "own", &[]),
            of_index(Manage::Create, "sessions-000001", &["sessions", "sessions-live"]),
            of_index(Manage::Create, "sessions-expired-000001", &["sessions-expired"]),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn concrete_names_are_found_by_their_logical_names() {
        let mut config = config(vec![route("orders"), route("own")]);
        let orders = IndexSettings { generation: 7, ..IndexSettings::default() };
        config.indices.insert("orders".into(), orders);
        config.indices.insert("own".into(), IndexSettings { manage: Manage::Check, ..IndexSettings::default() });
        let names = ConcreteNames::new(&config);
        let find = |index: &str| names.find(&IndexName::parse(index).unwrap());
        assert_eq!(find("orders").as_deref(), Some("orders-000007"));
        assert_eq!(find("own").as_deref(), Some("own"));
        assert_eq!(find("other"), None);
    }

    #[test]
    fn one_index_is_enough_to_be_watched() {
        let mut config = config(vec![route("orders"), route("carts")]);
        let mut manage = |index: &str, manage| {
            config.indices.insert(index.into(), IndexSettings { manage, ..IndexSettings::default() });
            Catalog::new(&config, &SetupContext::new()).is_watched()
        };
        assert!(manage("orders", Manage::Never));
        assert!(!manage("carts", Manage::Never));
        assert!(manage("carts", Manage::Check));
    }
}

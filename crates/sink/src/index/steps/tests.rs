use serde_json::{Value, json};
use streamdex_config::IndexSettings;

use super::*;
use crate::index::catalog::{Catalog, SetupContext, TableFacts};
use crate::index::samples::{config, name, session_route};
use crate::index::wanted::Offering;

fn wanted_as(manage: Manage) -> Wanted {
    let mut config = config(vec![session_route()]);
    config.indices.insert("sessions".into(), IndexSettings { manage, ..IndexSettings::default() });
    let facts = TableFacts { key_attributes: vec!["user_id".into()], ..TableFacts::default() };
    let catalog = Catalog::new(&config, &SetupContext::new().with_table("sessions", facts));
    Wanted::new(catalog.find(&name("sessions")).unwrap(), "sessions", Offering::Cluster)
}

fn wanted() -> Wanted {
    wanted_as(Manage::Create)
}

/// The index as OpenSearch would show it after creation.
fn made(wanted: &Wanted) -> Value {
    let body = wanted.create_body(&wanted.aliases());
    json!({"settings": body["settings"], "mappings": body["mappings"], "aliases": body["aliases"]})
}

fn after(wanted: &Wanted, change: impl FnOnce(&mut Value)) -> Observed {
    let mut index = made(wanted);
    change(&mut index);
    let mut body = json!({});
    body[&wanted.concrete] = index;
    Observed::read(&body)
}

fn steps_of(wanted: &Wanted, body: Value) -> Result<Vec<Step>, SetupError> {
    steps(wanted, &Observed::read(&body))
}

#[test]
fn what_is_missing_is_created_at_once_with_its_aliases() {
    let steps = steps_of(&wanted(), json!({})).unwrap();
    assert_eq!(steps, [Step::Template, Step::Create(vec![Alias::Reader, Alias::Live])]);
    let texts: Vec<String> = steps.iter().map(|step| step.describe(&wanted())).collect();
    assert_eq!(
        texts,
        [
            "install the index template streamdex-sessions",
            "create the index sessions-000001 with the aliases sessions, sessions-live"
        ]
    );
}

#[test]
fn what_is_there_needs_nothing() {
    let observed = after(&wanted(), |_| ());
    assert_eq!(steps(&wanted(), &observed).unwrap(), []);
    assert_eq!(findings(&wanted(), &observed).unwrap(), []);
}

#[test]
fn an_alias_is_added_where_it_is_nowhere_and_never_moved() {
    let without = after(&wanted(), |index| index["aliases"] = json!({"sessions": {}}));
    assert_eq!(steps(&wanted(), &without).unwrap(), [Step::AddAliases(vec![Alias::Live])]);

    // an older generation holds both: the new one is made without them
    let older = json!({"sessions-000000": {"aliases": {"sessions": {}, "sessions-live": {}}}});
    assert_eq!(steps_of(&wanted(), older).unwrap(), [Step::Template, Step::Create(vec![])]);
}

#[test]
fn an_alias_elsewhere_or_with_another_filter_is_told() {
    let codes = |observed: Observed| {
        findings(&wanted(), &observed).unwrap().into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    let mut body = json!({"sessions-000000": {"aliases": {"sessions": {}}}});
    body["sessions-000001"] = made(&wanted());
    assert_eq!(codes(Observed::read(&body)), [Code::AliasElsewhere]);

    let filter = after(&wanted(), |index| index["aliases"]["sessions-live"] = json!({"filter": {"match_all": {}}}));
    assert_eq!(codes(filter), [Code::LiveAliasFilter]);

    // one element without its list is the same filter
    let plain = json!({"filter": {"bool": {"must_not": {"range": {"expires_at": {"lte": "now"}}}}}});
    assert_eq!(codes(after(&wanted(), |index| index["aliases"]["sessions-live"] = plain)), []);
}

#[test]
fn names_that_are_taken_are_refused_with_a_hint() {
    for body in [
        json!({"sessions": {"aliases": {}}}),
        json!({"sessions-live": {"aliases": {}}}),
        json!({"other": {"aliases": {"sessions-000001": {}}}}),
    ] {
        let error = steps_of(&wanted(), body).unwrap_err();
        assert!(matches!(error, SetupError::NameTaken { .. }) && !error.hint().is_empty(), "{error}");
    }
    let stream = json!({".ds-sessions-000001": {"aliases": {}, "data_stream": "sessions"}});
    for manage in [Manage::Create, Manage::Check] {
        assert!(matches!(steps_of(&wanted_as(manage), stream.clone()), Err(SetupError::DataStream { .. })));
    }
}

#[test]
fn an_index_of_another_owner_is_refused() {
    let meta = |key: &'static str, value: Value| {
        after(&wanted(), |index| index["mappings"]["_meta"]["streamdex"][key] = value)
    };
    assert!(matches!(steps(&wanted(), &meta("table", json!("orders"))), Err(SetupError::OtherOwner { .. })));
    assert!(matches!(steps(&wanted(), &meta("version_scheme", json!(9))), Err(SetupError::OtherVersionScheme { .. })));
    let routes = meta("routes", json!("f0"));
    assert_eq!(steps(&wanted(), &routes).unwrap(), []);
    assert_eq!(findings(&wanted(), &routes).unwrap()[0].code, Code::OtherRoutes);
}

#[test]
fn an_index_without_owner_is_told() {
    let observed = after(&wanted(), |index| index["mappings"]["_meta"] = json!({}));
    assert_eq!(findings(&wanted(), &observed).unwrap()[0].code, Code::NotOurs);
}

#[test]
fn check_takes_an_index_or_an_alias_for_one() {
    let wanted = wanted_as(Manage::Check);
    assert!(matches!(steps_of(&wanted, json!({})), Err(SetupError::Missing { .. })));
    let index = Observed::read(&json!({"sessions": {"aliases": {}, "settings": {"index.uuid": "A"}}}));
    assert_eq!(steps(&wanted, &index).unwrap(), []);
    assert_eq!(located(&wanted, &index).unwrap().unwrap().name, "sessions");
    assert!(!findings(&wanted, &index).unwrap().is_empty());

    let alias = Observed::read(&json!({"real": {"aliases": {"sessions": {}}}}));
    assert_eq!(located(&wanted, &alias).unwrap().unwrap().name, "real");
    let two = json!({"a": {"aliases": {"sessions": {}}}, "b": {"aliases": {"sessions": {"is_write_index": true}}}});
    assert!(matches!(steps_of(&wanted, two), Err(SetupError::SeveralIndices { .. })));
}

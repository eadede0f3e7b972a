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
            "install the index template streamdex-sessions-000001",
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
    let plain =
        json!({"filter": {"bool": {"must_not": {"range": {"expires_at": {"gte": "now-157680000s", "lt": "now"}}}}}});
    assert_eq!(codes(after(&wanted(), |index| index["aliases"]["sessions-live"] = plain)), []);
}

/// The filter of the first versions, as an engine shows it.
fn with_earlier_filter(index: &mut Value) {
    index["aliases"]["sessions-live"] =
        json!({"filter": {"bool": {"must_not": [{"range": {"expires_at": {"lte": "now"}}}]}}});
}

#[test]
fn apply_updates_the_filter_that_an_earlier_version_made_and_no_other() {
    let wanted = wanted();
    let apply = |observed: &Observed| apply_steps(&wanted, observed, Installed::Same).unwrap();
    let earlier = after(&wanted, with_earlier_filter);
    let update = vec![Step::UpdateFilter("sessions-000001".into())];
    assert_eq!(apply(&earlier), update);
    // a first write leaves it, and says so
    assert_eq!(steps(&wanted, &earlier).unwrap(), []);
    let finding = findings(&wanted, &earlier).unwrap().pop().unwrap();
    assert_eq!(finding.code, Code::LiveAliasFilter);
    assert!(finding.hint.contains("index apply"), "{finding}");

    // an earlier generation that searches still see
    let mut body = json!({"sessions-000000": made(&wanted), "sessions-000001": made(&wanted)});
    with_earlier_filter(&mut body["sessions-000000"]);
    body["sessions-000001"]["aliases"] = json!({});
    assert_eq!(apply(&Observed::read(&body)), [Step::UpdateFilter("sessions-000000".into())]);

    let of_a_person = after(&wanted, |index| index["aliases"]["sessions-live"] = json!({"filter": {"match_all": {}}}));
    assert_eq!(apply(&of_a_person), []);
    let of_another_table = after(&wanted, |index| {
        with_earlier_filter(index);
        index["mappings"]["_meta"] = json!({});
    });
    assert_eq!(apply(&of_another_table), []);
    assert_eq!(apply(&after(&wanted, |_| ())), []);
}

#[test]
fn apply_keeps_the_template_as_the_configuration_wants_it() {
    let wanted = wanted();
    let there = after(&wanted, |_| ());
    let apply = |observed: &Observed, installed| apply_steps(&wanted, observed, installed).unwrap();
    assert_eq!(apply(&there, Installed::Missing), [Step::Template]);
    assert_eq!(apply(&there, Installed::Other), [Step::RenewTemplate]);
    assert_eq!(apply(&there, Installed::Same), []);
    let create = Step::Create(vec![Alias::Reader, Alias::Live]);
    let nothing = Observed::default();
    assert_eq!(apply(&nothing, Installed::Missing), [Step::Template, create.clone()]);
    assert_eq!(apply(&nothing, Installed::Other), [Step::RenewTemplate, create.clone()]);
    assert_eq!(apply(&nothing, Installed::Same), [create]);
}

#[test]
fn under_check_the_index_that_was_found_first_stays_the_one_that_is_written_to() {
    let wanted = Wanted { concrete: "a".into(), ..wanted_as(Manage::Check) };
    let alias = json!({"aliases": {"sessions": {}}});
    let two = Observed::read(&json!({"a": alias, "b": {"aliases": {"sessions": {"is_write_index": true}}}}));
    assert_eq!(steps(&wanted, &two).unwrap(), []);
    assert_eq!(located(&wanted, &two).unwrap().unwrap().name, "a");
    let last = findings(&wanted, &two).unwrap().pop().unwrap();
    assert_eq!(last.code, Code::AliasElsewhere);
    assert!(last.message.contains("also points to b"), "{last}");

    for moved in [json!({"a": {"aliases": {}}, "b": alias}), json!({"a": {"aliases": {}}})] {
        let error = steps_of(&wanted, moved).unwrap_err();
        assert!(matches!(error, SetupError::AliasMoved { .. }), "{error}");
        assert!(error.hint().contains("generation"));
    }
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
    let unreadable = after(&wanted(), |index| index["mappings"]["_meta"]["streamdex"] = json!({"format": 2}));
    assert!(matches!(steps(&wanted(), &unreadable), Err(SetupError::UnreadableOwner { .. })));
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

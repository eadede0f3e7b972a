//! Index set-up by our own code.

use std::sync::Arc;

use futures::future::join_all;
use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_sink::index::{Code, Finding, IndexPlan, Plan, SetupError};
use streamdex_testkit::engines::unique_name;

use super::check::{Check, check};
use super::lab::{Lab, delete, logical, statuses, write};
use super::outcome::{Outcome, equal, holds};

pub(crate) fn checks() -> Vec<Check> {
    vec![
        check("set-up makes template, index and both aliases, and finds nothing to do the second time", twice),
        check("eight workers at once make one index", eight_at_once),
        check("the index is safe, and equal to what `plan` showed before", as_planned),
        check("`plan` changes nothing", plan_changes_nothing),
        check("the live alias hides expired items and shows items without a TTL", live_alias),
        check(
            "the live alias shows items that DynamoDB never expires: with a TTL of 0, or of more than five years ago",
            never_expires,
        ),
        check("`apply` updates the filter of a live alias that an earlier version made", earlier_filter),
        check("a new generation leaves the aliases where they are", generations),
        check("a lost alias is made again", lost_alias),
        check(
            "an index with a placeholder in its name is made when the name is first given, with the settings of its pattern",
            placeholders,
        ),
        check("`apply` finds that external versions are kept, and leaves no document behind", probe),
        check(
            "if another program makes an index under the name of a deleted one, the index gets the safe mapping",
            template_catches,
        ),
    ]
}

pub(crate) fn others() -> Vec<Check> {
    vec![
        check("`plan` names a user's template of higher priority, and shows what it adds", users_template),
        check("the engine refuses a user's template of equal priority, and streamdex reports it", equal_priority),
        check("an index that has the alias's name is refused", name_taken),
        check("a data stream is refused", data_stream),
        check("`manage = \"check\"`: an alias for several indices is refused", several_indices),
        check("`manage = \"check\"`: a second index behind the alias does not change where documents go", second_index),
        check("`manage = \"check\"`: an index left to dynamic mapping is reported as unsafe", check_reports),
        check("an index of another table is refused", other_owner),
        check("settings that the engine does not know are reported with its reason", unknown_setting),
    ]
}

fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// The one plan of a configuration of one route.
fn only(mut plans: Vec<IndexPlan>) -> Plan {
    plans.pop().unwrap().result.unwrap()
}

async fn twice(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let first = lab.indices(&name, "").ensure(&logical(&name)).await.unwrap();
    let (_, shown) = lab.get(&format!("{name},{name}-live")).await;
    equal("indices", shown.as_object().unwrap().keys().collect::<Vec<_>>(), vec![&first.concrete])?;
    let (status, _) = lab.get(&format!("_index_template/streamdex-{name}-000001")).await;
    equal("status of the template", status, 200)?;
    let applied = lab.indices(&name, "").ensure(&logical(&name)).await.unwrap();
    equal("target", &first, &applied)?;
    let plan = only(lab.indices(&name, "").plan().await);
    equal("steps", plan.steps, Vec::new())?;
    equal("findings", codes(&plan.findings), Vec::new())
}

async fn eight_at_once(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let (index, lab) = (logical(&name), &lab);
    let workers = (0..8).map(|_| {
        let (name, index) = (&name, &index);
        async move { lab.indices(name, "").ensure(index).await }
    });
    let targets: Vec<_> = join_all(workers).await.into_iter().map(Result::unwrap).collect();
    holds("all workers saw one UUID", targets.iter().all(|target| target.uuid.is_some() && *target == targets[0]))?;
    // and callers of one process share one set-up
    let shared = lab.indices(&name, "");
    let same: Vec<_> = join_all((0..8).map(|_| shared.ensure(&index))).await.into_iter().map(Result::unwrap).collect();
    holds("all callers got one target", same.iter().all(|target| Arc::ptr_eq(target, &same[0])))
}

/// Settings that an engine sets by itself.
fn own(setting: &str) -> bool {
    [
        "index.uuid",
        "index.creation_date",
        "index.provided_name",
        "index.version",
        "index.replication.type",
        "index.number_of_shards",
    ]
    .iter()
    .any(|known| setting.starts_with(known))
}

fn as_texts(plan: &Plan) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let settings = plan.settings.iter().filter(|(name, _)| !own(name));
    settings.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The older lines do not show `ignore_malformed` in a field where it is what the index does anyway.
fn without_defaults(plan: &Plan) -> Value {
    let mut mapping = Value::Object(plan.mapping.clone());
    for property in mapping["properties"].as_object_mut().unwrap().values_mut() {
        property.as_object_mut().unwrap().remove("ignore_malformed");
    }
    mapping
}

async fn planned_is_made(lab: &Lab, name: &str) -> Outcome {
    let before = only(lab.indices(name, "").plan().await);
    equal("steps before", before.steps.len(), 2)?;
    lab.indices(name, "").ensure(&logical(name)).await.unwrap();
    let after = only(lab.indices(name, "").plan().await);
    equal("mapping", without_defaults(&after), without_defaults(&before))?;
    equal("aliases", after.aliases.keys().collect::<Vec<_>>(), before.aliases.keys().collect())?;
    equal("settings", as_texts(&after), as_texts(&before))
}

async fn as_planned(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    planned_is_made(&lab, &name).await?;
    let plan = only(lab.indices(&name, "").plan().await);
    equal("findings", codes(&plan.findings), Vec::new())
}

async fn plan_changes_nothing(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    lab.indices(&name, "").plan().await;
    let (status, _) = lab.get(&format!("{name}-000001")).await;
    equal("status of the index", status, 404)?;
    let (status, _) = lab.get(&format!("_index_template/streamdex-{name}-000001")).await;
    equal("status of the template", status, 404)
}

/// The ids that an alias shows.
async fn shown(lab: &Lab, alias: &str) -> Vec<String> {
    // The scratch document of `apply` is deleted, and shows until then.
    lab.get(&format!("{alias}/_refresh")).await;
    let (_, answer) = lab.get(&format!("{alias}/_search?sort=user_id&_source=false")).await;
    let hits = answer["hits"]["hits"].as_array().unwrap().clone();
    hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect()
}

/// Documents with these TTLs, as they stand in the JSON, in a new index of ours; the logical name.
async fn with_ttls(lab: &Lab, ttls: &[(&str, String)]) -> String {
    let name = unique_name("compat");
    let index = lab.indices(&name, "").ensure(&logical(&name)).await.unwrap().concrete.clone();
    let line = |(id, ttl): &(&str, String)| {
        let ttl = if ttl.is_empty() { String::new() } else { format!(r#","expires_at":{ttl}"#) };
        write(&index, id, 1, &format!(r#"{{"user_id":"{id}"{ttl}}}"#))
    };
    lab.bulk(&ttls.iter().map(line).collect::<String>()).await.unwrap();
    lab.done(Method::Post, &format!("{index}/_refresh"), Value::Null).await;
    name
}

fn seconds_ago(seconds: u64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    (now - seconds).to_string()
}

const DAY: u64 = 86_400;

async fn live_alias(lab: Arc<Lab>) -> Outcome {
    let ttls = [
        ("expired", seconds_ago(60)),
        ("later", "4000000000".to_owned()),
        ("none", String::new()),
        ("old", seconds_ago(5 * 365 * DAY - DAY)),
        ("text", r#""never""#.to_owned()),
    ];
    let name = with_ttls(&lab, &ttls).await;
    equal("documents behind the alias", shown(&lab, &name).await.len(), ttls.len())?;
    let live = shown(&lab, &format!("{name}-live")).await;
    equal("documents behind the live alias", live, ["later", "none", "text"].map(str::to_owned).to_vec())
}

async fn never_expires(lab: Arc<Lab>) -> Outcome {
    let ttls = [
        ("ancient", "1000000000".to_owned()),
        ("expired", seconds_ago(60)),
        ("years", seconds_ago(5 * 365 * DAY + DAY)),
        ("zero", "0".to_owned()),
    ];
    let name = with_ttls(&lab, &ttls).await;
    let live = shown(&lab, &format!("{name}-live")).await;
    equal("documents behind the live alias", live, ["ancient", "years", "zero"].map(str::to_owned).to_vec())
}

async fn earlier_filter(lab: Arc<Lab>) -> Outcome {
    let name = with_ttls(&lab, &[("expired", seconds_ago(60)), ("zero", "0".to_owned())]).await;
    let live = format!("{name}-live");
    let earlier = json!({"filter": {"bool": {"must_not": [{"range": {"expires_at": {"lte": "now"}}}]}}});
    lab.done(Method::Put, &format!("{name}-000001/_alias/{live}"), earlier).await;
    equal("documents before", shown(&lab, &live).await, Vec::new())?;
    let plan = only(lab.indices(&name, "").plan().await);
    equal("findings", codes(&plan.findings), vec![Code::LiveAliasFilter])?;
    let applied = lab.indices(&name, "").apply().await.pop().unwrap().result.unwrap();
    equal("steps", applied.done, vec![format!("update the filter of the alias {live} on {name}-000001")])?;
    equal("documents after", shown(&lab, &live).await, vec!["zero".to_owned()])
}

async fn generations(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    lab.indices(&name, "").ensure(&logical(&name)).await.unwrap();
    let second = lab.indices(&name, "generation = 2\n");
    let target = second.ensure(&logical(&name)).await.unwrap();
    equal("concrete name", target.concrete.clone(), format!("{name}-000002"))?;
    let (_, shown) = lab.get(&format!("_alias/{name},{name}-live")).await;
    equal(
        "indices behind the aliases",
        shown.as_object().unwrap().keys().cloned().collect::<Vec<_>>(),
        vec![format!("{name}-000001")],
    )?;
    let plan = only(second.plan().await);
    equal("findings", codes(&plan.findings), vec![Code::AliasElsewhere, Code::AliasElsewhere])
}

async fn lost_alias(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let index = lab.indices(&name, "").ensure(&logical(&name)).await.unwrap().concrete.clone();
    lab.done(Method::Delete, &format!("{index}/_alias/{name}-live"), Value::Null).await;
    lab.indices(&name, "").ensure(&logical(&name)).await.unwrap();
    let plan = only(lab.indices(&name, "").plan().await);
    equal("aliases", plan.aliases.len(), 2)?;
    equal("findings", codes(&plan.findings), Vec::new())
}

async fn placeholders(lab: Arc<Lab>) -> Outcome {
    let prefix = unique_name("compat");
    let indices = lab.indices(&format!("{prefix}-{{region}}"), "generation = 3\n");
    let name = format!("{prefix}-eu");
    let target = indices.ensure(&logical(&name)).await.unwrap();
    equal("concrete name", target.concrete.clone(), format!("{name}-000003"))?;
    let plans = indices.plan().await;
    equal("plans", plans.len(), 2)?;
    let made = plans[1].result.as_ref().unwrap();
    equal("UUID", made.uuid.clone(), target.uuid.clone())?;
    equal("setting", made.settings.get("index.number_of_replicas").cloned(), Some(json!("0")))
}

async fn probe(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let applied = lab.indices(&name, "").apply().await.pop().unwrap().result.unwrap();
    equal("steps", applied.done.len(), 2)?;
    equal("findings", codes(&applied.findings), Vec::new())?;
    lab.done(Method::Post, &format!("{name}/_refresh"), Value::Null).await;
    let (_, count) = lab.get(&format!("{name}/_count")).await;
    equal("documents", count["count"].clone(), json!(0))?;
    let again = lab.indices(&name, "").apply().await.pop().unwrap().result.unwrap();
    equal("UUID", again.uuid, applied.uuid)
}

async fn template_catches(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    lab.indices(&name, "").ensure(&logical(&name)).await.unwrap();
    let (stray, next) = (format!("{name}-000001"), format!("{name}-000002"));
    lab.done(Method::Delete, &stray, Value::Null).await;
    for index in [&stray, &next] {
        lab.bulk(&write(index, "a", 1, r#"{"l":[{"q":1.50},{"q":2}]}"#)).await.unwrap();
    }
    let (_, shown) = lab.get(&format!("{stray},{next}")).await;
    let number = |index: &str| shown[index]["mappings"]["properties"]["l"]["properties"]["q"]["type"].clone();
    equal("type of the number", number(&stray), json!("double"))?;
    // Left to the engine's own mapping, which older ones refuse such a document for.
    equal("another generation gets it too", number(&next) == json!("double"), false)?;
    equal("owner", shown[&stray]["mappings"].get("_meta"), None)
}

async fn users_template(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let template = json!({
        "index_patterns": [format!("{name}-*")],
        "priority": 5000,
        "template": {
            "settings": {"index.gc_deletes": "5m", "index.mapping.total_fields.limit": 77},
            "mappings": {
                "dynamic_templates": [
                    {"theirs": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}},
                    {"small": {"match_mapping_type": "double", "mapping": {"type": "float"}}}
                ],
                "properties": {"user_id": {"type": "text", "fields": {"raw": {"type": "keyword"}}}, "total": {"type": "float"}}
            },
            "aliases": {format!("{name}-theirs"): {}}
        }
    });
    lab.done(Method::Put, &format!("_index_template/{name}-theirs"), template).await;
    let plan = only(lab.indices(&name, "").plan().await);
    let found = codes(&plan.findings);
    equal("findings", found, vec![Code::OtherTemplate, Code::DynamicDecimals, Code::FloatFields])?;
    holds("the template is named", plan.findings[0].message.contains(&format!("{name}-theirs (priority 5000)")))?;
    equal("setting of theirs", plan.settings.get("index.mapping.total_fields.limit").cloned(), Some(json!("77")))?;
    equal("setting of ours", plan.settings.get("index.gc_deletes").cloned(), Some(json!("1h")))?;
    planned_is_made(&lab, &name).await
}

async fn equal_priority(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let template = json!({"index_patterns": [format!("{name}-*")], "priority": 200 + format!("{name}-000001").len()});
    lab.done(Method::Put, &format!("_index_template/{name}-theirs"), template).await;
    match lab.indices(&name, "").ensure(&logical(&name)).await {
        Err(SetupError::Refused { status: 400, reason, .. }) => {
            holds("the reason names the template", reason.contains("priority"))
        }
        other => Err(format!("{other:?}")),
    }
}

async fn name_taken(lab: Arc<Lab>) -> Outcome {
    let name = lab.index(Value::Null, Value::Null).await;
    let refused = lab.indices(&name, "").ensure(&logical(&name)).await;
    holds(
        "refused with a hint",
        matches!(&refused, Err(error @ SetupError::NameTaken { .. }) if !error.hint().is_empty()),
    )
}

async fn data_stream(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let template = json!({"index_patterns": [name], "priority": 5000, "data_stream": {}});
    let (status, _) = lab.ask(Method::Put, &format!("_index_template/{name}"), template).await;
    if status != 200 {
        return Err("there are no data streams".to_owned());
    }
    lab.done(Method::Put, &format!("_data_stream/{name}"), Value::Null).await;
    for manage in ["create", "check"] {
        let refused = lab.indices(&name, &format!("manage = \"{manage}\"\n")).ensure(&logical(&name)).await;
        holds("refused", matches!(refused, Err(SetupError::DataStream { .. })))?;
    }
    Ok(())
}

async fn several_indices(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    for write_index in [true, false] {
        let index = lab.index(Value::Null, Value::Null).await;
        lab.done(Method::Put, &format!("{index}/_alias/{name}"), json!({"is_write_index": write_index})).await;
    }
    let refused = check_indices(&lab, &name).ensure(&logical(&name)).await;
    holds("refused", matches!(refused, Err(SetupError::SeveralIndices { .. })))
}

async fn second_index(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let first = lab.index(Value::Null, Value::Null).await;
    lab.done(Method::Put, &format!("{first}/_alias/{name}"), Value::Null).await;
    let running = check_indices(&lab, &name);
    let target = running.ensure(&logical(&name)).await.unwrap();
    equal("concrete name", &target.concrete, &first)?;
    let second = lab.index(Value::Null, Value::Null).await;
    lab.done(Method::Put, &format!("{second}/_alias/{name}"), Value::Null).await;
    let answered = lab.bulk(&(write(&target.concrete, "a", 1, "{}") + &delete(&target.concrete, "a", 2))).await;
    statuses(answered, &[201, 200])?;
    let restarted = check_indices(&lab, &name);
    restarted.remember(running.known());
    equal("target after a restart", restarted.ensure(&logical(&name)).await.unwrap(), target)
}

fn check_indices(lab: &Lab, name: &str) -> streamdex_sink::Indices {
    lab.indices(name, "manage = \"check\"\n")
}

async fn check_reports(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let missing = check_indices(&lab, &name).ensure(&logical(&name)).await;
    holds("a missing index is refused", matches!(missing, Err(SetupError::Missing { .. })))?;
    lab.bulk(&write(&name, "a", 1, r#"{"user_id":"u","price":1.5,"expires_at":1700000000}"#)).await.unwrap();
    let target = check_indices(&lab, &name).ensure(&logical(&name)).await.unwrap();
    equal("concrete name", target.concrete.clone(), name.clone())?;
    let plan = only(check_indices(&lab, &name).plan().await);
    equal(
        "findings",
        codes(&plan.findings),
        vec![
            Code::DateDetection,
            Code::DynamicIntegers,
            Code::DynamicDecimals,
            Code::IgnoreMalformedOff,
            Code::GcDeletes,
            Code::DepthLimit,
            Code::TtlNotDate,
            Code::NotKeyword,
            Code::NotKeyword,
            Code::FloatFields,
        ],
    )
}

async fn other_owner(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    let meta = json!({"version_scheme": 1, "table": "orders", "routes": "f", "generation": 1});
    let body = json!({"mappings": {"_meta": {"streamdex": meta}}});
    lab.done(Method::Put, &format!("{name}-000001"), body).await;
    let refused = lab.indices(&name, "").ensure(&logical(&name)).await;
    holds("refused", matches!(refused, Err(SetupError::OtherOwner { .. })))?;
    let (_, aliases) = lab.get(&format!("{name}-000001/_alias")).await;
    equal("aliases", aliases[format!("{name}-000001")]["aliases"].clone(), json!({}))
}

async fn unknown_setting(lab: Arc<Lab>) -> Outcome {
    let name = unique_name("compat");
    match lab.indices_with(&name, "colour = \"red\"").ensure(&logical(&name)).await {
        Err(SetupError::Refused { status: 400, reason, .. }) => {
            holds("the reason names the setting", reason.contains("colour"))
        }
        other => Err(format!("{other:?}")),
    }
}

//! `streamdex iam-policy`: the least privileges that a configuration needs.
//!
//! stdout contains only one policy document, ready for IAM. stderr names what is missing in it.

use serde::Serialize;
use streamdex_config::{Arn, Config, TableReference};

use crate::args::{Global, IamPolicyArgs};
use crate::exit::{CliError, Exit};
use crate::policy::{self, Access, Around, Facts, Policies, PolicyDocument, Principal, Purpose, View};
use crate::{output, settings};

/// Placeholders, and what fills them in.
const PLACEHOLDERS: [(&str, &str); 6] = [
    ("${AWS::Partition}", "give --region, or let CloudFormation fill it in with Fn::Sub"),
    ("${AWS::Region}", "give --region, or let CloudFormation fill it in with Fn::Sub"),
    ("${AWS::AccountId}", "give --account, or let CloudFormation fill it in with Fn::Sub"),
    ("${DomainName}", "give --domain: opensearch.url does not contain the domain's name"),
    ("${CollectionName}", "give --collection: opensearch.url contains only the collection's id"),
    ("${RoleName}", "give --principal, the ARN of the role that signs requests"),
];

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &IamPolicyArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let facts = facts(&config, arguments);
    let purpose = arguments.purpose;
    note_idle_options(global, arguments, &config, &facts);
    let policies = policy::policies(&config, purpose, &facts);
    let access = policy::access(&config, purpose, &facts);
    if global.json {
        note_missing(purpose, &facts, arguments, &policies);
        return print(&Everything::new(&policies, access.as_ref()));
    }
    if arguments.opensearch {
        let Some(access) = access else {
            let message = "no OpenSearch permissions are needed";
            let hint = "requests carry no credentials (opensearch.auth), or this command sends none";
            return Err(CliError::new(Exit::Usage, message).with_hint(hint));
        };
        return print(&access);
    }
    note_missing(purpose, &facts, arguments, &policies);
    let (principal, document) = chosen(&policies, arguments)?;
    for other in policies.keys().filter(|other| *other != principal) {
        tracing::warn!(hint = option_for(other), "{other} needs its own policy");
    }
    print(document)
}

/// An option that changes nothing was meant for another purpose, or is believed to grant something. It is no mistake
/// where one set of options serves several purposes.
fn note_idle_options(global: &Global, arguments: &IamPolicyArgs, config: &Config, facts: &Facts) {
    let purpose = arguments.purpose;
    let printed = |facts: &Facts| {
        let policies = policy::policies(config, purpose, facts);
        let access = policy::access(config, purpose, facts);
        // What cannot be written as JSON is reported where it is printed.
        let policies = || serde_json::to_string(&Everything::new(&policies, None)).unwrap_or_default();
        let access = || serde_json::to_string(&access).unwrap_or_default();
        match (global.json, arguments.opensearch) {
            (true, _) => policies() + &access(),
            (false, true) => access(),
            (false, false) => policies(),
        }
    };
    let view = arguments.view.is_some().then_some(&policy::VIEW);
    let mut idle = policy::without_effect(facts, policy::FACTS.iter().chain(view), printed);
    let one_policy = !global.json && !arguments.opensearch;
    idle.extend((arguments.role.is_some() && !one_policy).then_some("--role"));
    idle.extend((arguments.profile.is_some() && !one_policy).then_some("--profile"));
    let purpose = clap::ValueEnum::to_possible_value(&purpose).map(|value| value.get_name().to_owned());
    let half = if arguments.opensearch && !global.json { " --opensearch" } else { "" };
    for option in idle {
        let hint = "remove it; `streamdex iam-policy --help` explains each option";
        let purpose = purpose.as_deref().unwrap_or_default();
        tracing::warn!(hint, "{option} has no effect on --for {purpose}{half} with this configuration");
    }
}

/// Everything at once, for `--json`.
#[derive(Debug, Serialize)]
struct Everything<'a> {
    policies: Vec<Entry<'a>>,
    opensearch: Option<&'a Access>,
}

/// The policy of one principal.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    principal: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    policy: &'a PolicyDocument,
}

impl<'a> Everything<'a> {
    fn new(policies: &'a Policies, access: Option<&'a Access>) -> Everything<'a> {
        let entry = |(principal, policy): (&'a Principal, &'a PolicyDocument)| {
            let (principal, name) = match principal {
                Principal::Own { profile: None } => ("own", None),
                Principal::Own { profile } => ("profile", profile.as_deref()),
                Principal::Role(arn) => ("role", Some(arn.as_str())),
            };
            Entry { principal, name, policy }
        };
        Everything { policies: policies.iter().map(entry).collect(), opensearch: access }
    }
}

fn facts(config: &Config, arguments: &IamPolicyArgs) -> Facts {
    Facts {
        view: arguments.view.unwrap_or_default(),
        redrive: arguments.redrive,
        around: Around {
            account: arguments.account.clone().or_else(|| account_of_streams(config)),
            region: arguments.region.clone(),
        },
        source_keys: arguments.source_key.clone(),
        state_key: arguments.state_key.clone(),
        secret_key: arguments.secret_key.clone(),
        failure_bucket: arguments.on_failure_bucket.clone(),
        bucket_key: arguments.bucket_key.clone(),
        log_group: arguments.log_group.clone(),
        function_key: arguments.function_key.clone(),
        function: arguments.function.clone(),
        subnets: arguments.subnet.clone(),
        security_groups: arguments.security_group.clone(),
        domain: arguments.domain.clone(),
        collection: arguments.collection.clone(),
        signer: arguments.principal.clone(),
    }
}

/// The account that all streams are in which the configuration names by ARN.
fn account_of_streams(config: &Config) -> Option<String> {
    let mut accounts: Vec<&str> = config
        .sources
        .iter()
        .filter_map(|source| match &source.table {
            TableReference::StreamArn(arn) => Arn::parse(arn.as_str()).map(|arn| arn.account),
            TableReference::Name(_) => None,
        })
        .collect();
    accounts.dedup();
    match accounts.as_slice() {
        [account] => Some((*account).to_owned()),
        _ => None,
    }
}

/// The policy of `--role` or `--profile`; else that of the process's own credentials.
fn chosen<'a>(
    policies: &'a Policies,
    arguments: &IamPolicyArgs,
) -> Result<(&'a Principal, &'a PolicyDocument), CliError> {
    let wanted = match (&arguments.role, &arguments.profile) {
        (Some(role), _) => Some(Principal::Role(role.clone())),
        (None, Some(profile)) => Some(Principal::Own { profile: Some(profile.clone()) }),
        (None, None) => None,
    };
    let found = match &wanted {
        Some(wanted) => policies.get_key_value(wanted),
        None => policies.first_key_value(),
    };
    found.ok_or_else(|| {
        let known: Vec<String> = policies.keys().map(option_for).collect();
        let wanted = wanted.map_or("the process".to_owned(), |wanted| wanted.to_string());
        CliError::new(Exit::Usage, format!("{wanted} needs no policy here"))
            .with_hint(format!("needed: {}", known.join(", ")))
    })
}

fn option_for(principal: &Principal) -> String {
    match principal {
        Principal::Own { profile: None } => "remove --role and --profile".to_owned(),
        Principal::Own { profile: Some(profile) } => format!("add --profile {profile}"),
        Principal::Role(arn) => format!("add --role {arn}"),
    }
}

/// What the configuration does not tell, and what was taken in its place.
fn note_missing(purpose: Purpose, facts: &Facts, arguments: &IamPolicyArgs, policies: &Policies) {
    if arguments.view.is_none() && matches!(purpose, Purpose::Run | Purpose::Lambda) {
        let view = clap::ValueEnum::to_possible_value(&View::default()).map(|view| view.get_name().to_owned());
        let hint =
            "give --view if the stream carries something else: without new images, items are read from the table";
        tracing::info!(hint, "assumed stream view: {}", view.unwrap_or_default());
    }
    let reads_sources = matches!(purpose, Purpose::Run | Purpose::Lambda | Purpose::Replay);
    let uses_state = purpose != Purpose::StateCreate
        && policies.values().flat_map(|document| &document.statement).any(|statement| statement.is("StateTable"));
    let keys = [
        (facts.source_keys.is_empty() && reads_sources, "a source table", "--source-key ARN"),
        (facts.state_key.is_none() && uses_state, "the state table", "--state-key ARN"),
    ];
    for (_, what, option) in keys.into_iter().filter(|(missing, ..)| *missing) {
        tracing::info!(hint = format!("add {option} if there is one"), "the customer key of {what} is unknown");
    }
    if purpose == Purpose::Lambda {
        let options = [
            (facts.failure_bucket.is_none(), "the on-failure bucket", "--on-failure-bucket NAME"),
            (facts.log_group.is_none(), "the log group", "--log-group NAME"),
            (!facts.subnets.is_empty() && facts.function.is_none(), "the function's name", "--function NAME"),
        ];
        for (_, what, option) in options.into_iter().filter(|(missing, ..)| *missing) {
            tracing::info!(
                hint = format!("add {option}"),
                "{what} is unknown, so the statements that need it are missing"
            );
        }
    }
}

fn print(value: &impl Serialize) -> Result<Exit, CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::stdout(error.into()))?;
    for (placeholder, hint) in PLACEHOLDERS {
        if text.contains(placeholder) {
            tracing::warn!(hint, "{placeholder} is a placeholder for an unknown value");
        }
    }
    output::print(&(text + "\n"))?;
    Ok(Exit::Done)
}

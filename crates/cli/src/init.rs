//! `streamdex init`: a configuration for a table, from its description and a sample of its items.

mod draft;
mod fields;
mod kinds;

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::Path;

use serde_json::json;
use streamdex_config::{Config, ConfigError};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::survey::Survey;
use streamdex_dynamodb::{AwsError, Fault};
use url::Url;

use self::draft::Facts;
use self::kinds::{Item, kinds};
use crate::args::{Global, InitArgs};
use crate::exit::{CliError, Exit};
use crate::preflight::{Uses, preflight};
use crate::sample::Sample;
use crate::{connect, output};

/// The sample comes from so many places of the table.
const PLACES: u32 = 4;

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: InitArgs) -> Result<Exit, CliError> {
    // Where other commands read it, this one writes it.
    let path = global.config.as_ref().unwrap_or(&arguments.output);
    let is_stdout = path == Path::new("-");
    if !is_stdout && !arguments.force && path.exists() {
        let message = format!("{} exists already", path.display());
        return Err(CliError::new(Exit::Usage, message).with_hint("give another --output, or --force to replace it"));
    }
    let (table, opensearch) =
        (asked(arguments.table.clone(), "--table", "The DynamoDB table")?, opensearch(&arguments)?);
    let source = source_of(&arguments, &table, &opensearch)?;
    // It names no profile, so only the region can be wrong; and that is an option here, not a key.
    let of_region = |error: CliError| error.with_hint("give --region, or set AWS_REGION, as AWS writes it: eu-west-1");
    preflight(&source, &[Uses::Sources]).await.map_err(of_region)?;
    let [source] = source.sources.as_slice() else {
        return Err(CliError::new(Exit::Usage, "exactly one table is expected"));
    };
    let clients = SourceClients::connect(source).await;
    let survey = connect::within(async { Ok(Survey::of(&clients.dynamodb, &table).await?) }).await?;
    let ttl = ttl(&clients, &table).await?;
    let sample = connect::within(async { Ok(Sample::of(&clients, &table, arguments.sample, PLACES).await?) }).await?;
    let sample: Vec<Item> = sample.items.iter().filter_map(|item| serde_json::from_str(item).ok()).collect();
    let keys = survey.size.key_names();
    let facts = Facts {
        survey: &survey,
        ttl: ttl.as_deref(),
        region: arguments.region.as_deref(),
        endpoint: arguments.endpoint_url.as_ref(),
        opensearch: &opensearch,
        kinds: &kinds(&sample, &keys),
    };
    let text = facts.text();
    is_valid(&text)?;
    if is_stdout {
        output::print(&text)?;
        facts.before().iter().for_each(|line| output::note(&format!("before you use it: {line}\n")));
    } else {
        write(path, &text, arguments.force)?;
        say(global, path, &facts)?;
    }
    Ok(Exit::Done)
}

/// What an argument says; on a terminal, who does not say it is asked.
fn asked(given: Option<String>, argument: &str, question: &str) -> Result<String, CliError> {
    if let Some(given) = given {
        return Ok(given);
    }
    let example = "streamdex init --table sessions --opensearch https://search.example";
    let missing =
        || CliError::new(Exit::Usage, format!("{argument} is missing")).with_hint(format!("for example: {example}"));
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(missing());
    }
    output::note(&format!("{question}: "));
    let mut answer = String::new();
    stdin().read_line(&mut answer).map_err(|error| missing().caused_by(error))?;
    let answer = answer.trim();
    if answer.is_empty() { Err(missing()) } else { Ok(answer.to_owned()) }
}

fn opensearch(arguments: &InitArgs) -> Result<Url, CliError> {
    if let Some(url) = &arguments.opensearch {
        return Ok(url.clone());
    }
    let text = asked(None, "--opensearch", "The address of OpenSearch, such as https://search.example")?;
    text.parse().map_err(|error: url::ParseError| {
        CliError::new(Exit::Usage, format!("{text:?} is not an address")).caused_by(error)
    })
}

/// The least configuration, to ask the table with.
fn source_of(arguments: &InitArgs, table: &str, opensearch: &Url) -> Result<Config, CliError> {
    let mut source = toml_table([("table", table)]);
    let endpoint = arguments.endpoint_url.as_ref().map(Url::as_str);
    let more = [("region", arguments.region.as_deref()), ("endpoint_url", endpoint)];
    source += &toml_table(more.into_iter().filter_map(|(key, value)| Some((key, value?))));
    let opensearch = toml_table([("url", opensearch.as_str())]);
    let text = format!("[source]\n{source}[opensearch]\n{opensearch}[[route]]\nindex = \"x\"\n");
    Ok(Config::parse(&text, Path::new(""), &|_| None).map_err(|error| of_options(&error))?.config)
}

/// The problems of a text that nobody wrote, by the options that gave its values.
fn of_options(error: &ConfigError) -> CliError {
    let option = |path: &str| match path {
        "source.region" => ("--region", "write it as eu-west-1"),
        "source.endpoint_url" => ("--endpoint-url", "write it as http://127.0.0.1:8000"),
        path if path.starts_with("opensearch") => {
            ("--opensearch", "write it as https://search.example; put user name and password into the written file")
        }
        _ => ("--table", "give only the table's name, such as sessions"),
    };
    let options: Vec<_> = error.problems().iter().map(|problem| (option(&problem.path), &problem.message)).collect();
    let said: Vec<String> = options.iter().map(|((name, _), message)| format!("{name}: {message}")).collect();
    let mut hints: Vec<&str> = options.iter().map(|((_, hint), _)| *hint).collect();
    hints.dedup();
    CliError::new(Exit::Usage, said.join("; ")).with_hint(hints.join("; "))
}

fn toml_table<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    values.into_iter().map(|(key, value)| format!("{key} = {}\n", draft::quoted(value))).collect()
}

/// The TTL attribute. Who may not ask gets a configuration without one, and a warning.
async fn ttl(clients: &SourceClients, table: &str) -> Result<Option<String>, CliError> {
    let refused = |error: AwsError| match error.fault() {
        Fault::Denied => {
            let hint = "add ttl = { attribute = \"…\" } to the routes, if items expire";
            tracing::warn!(hint, "the table's TTL could not be read: {error}");
            Ok(None)
        }
        _ => Err(error.into()),
    };
    connect::within(async { Survey::ttl(&clients.dynamodb, table).await.or_else(refused) }).await
}

/// Nothing is handed out that this program would not take.
fn is_valid(text: &str) -> Result<(), CliError> {
    let parsed = Config::parse(text, Path::new(""), &|_| None);
    parsed.map(drop).map_err(|error| {
        let message = format!("the generated configuration is not valid, which is a bug: {error}");
        CliError::new(Exit::Usage, message).with_hint("please report it with the names of the table and its keys")
    })
}

fn write(path: &Path, text: &str, replace: bool) -> Result<(), CliError> {
    let mut options = OpenOptions::new();
    options.write(true);
    if replace {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| CliError::new(Exit::Usage, format!("cannot write {}", path.display())).caused_by(error))
}

fn say(global: &Global, path: &Path, facts: &Facts<'_>) -> Result<(), CliError> {
    let file = path.display();
    let before = facts.before();
    let next = ["check --online", "run", "verify"].map(|command| format!("streamdex {command} -c {file}"));
    let size = &facts.survey.size;
    if global.json {
        return output::print_json(&json!({
            "file": path, "table": facts.survey.table, "items": size.items, "bytes": size.bytes,
            "indices": facts.indices(), "before": before, "next": next,
        }));
    }
    let mut text = format!("wrote {file}: {} into {}\n", facts.survey.table, facts.indices().join(", "));
    if !before.is_empty() {
        text.push_str("\nbefore you use it:\n");
        before.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    text.push_str("\nread it, then:\n");
    next.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    output::print(&text)
}

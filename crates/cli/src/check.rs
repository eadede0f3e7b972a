//! `streamdex check`: whether everything is ready, as one screen of lines.

mod documents;
mod line;
mod readers;
mod search;
mod source;
mod state;

use serde_json::json;
use streamdex_config::{Config, Problem};
use streamdex_dynamodb::survey::Survey;
use streamdex_sink::SetupContext;

use self::line::{Counts, Line};
use crate::args::{CheckArgs, Global};
use crate::exit::{CliError, Exit};
use crate::mirrored::facts_of;
use crate::preflight::{Uses, preflight};
use crate::settings::Origin;
use crate::{output, settings};

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &CheckArgs) -> Result<Exit, CliError> {
    let (mut lines, config) = match settings::origin(global) {
        Ok(origin) => offline(&origin),
        Err(error) => (of_problems("configuration", &error), None),
    };
    let rest = |hint| Line::unknown("everything else", "not looked at", hint);
    match config {
        Some(config) if arguments.online => lines.extend(Box::pin(online(&config, arguments.sample)).await),
        Some(_) => lines.push(rest("--online asks DynamoDB and OpenSearch, and changes nothing")),
        None => lines.push(rest("correct the configuration first")),
    }
    let counts = Counts::of(&lines);
    if global.json {
        output::print_json(&json!({ "lines": lines, "counts": counts }))?;
    } else {
        output::print(&line::text(&lines))?;
    }
    Ok(if counts.failed == 0 { Exit::Done } else { Exit::DeadLetters })
}

/// The configuration, its routes and mapping files.
fn offline(origin: &Origin) -> (Vec<Line>, Option<Config>) {
    let what = &match origin {
        Origin::File(path) => format!("configuration {}", path.display()),
        Origin::Environment(_) => "configuration".to_owned(),
    };
    match settings::load(origin) {
        Err(error) => (of_problems(what, &error), None),
        Ok(loaded) => {
            let routes: usize = loaded.config.sources.iter().map(|source| source.routes.len()).sum();
            let tables: Vec<&str> = loaded.config.sources.iter().map(|source| source.table.table_name()).collect();
            let mut lines =
                vec![Line::passed(what, format!("{} of {}", line::counted(routes, "route"), tables.join(", ")))];
            let warned = loaded.warnings.iter().map(|warning| {
                let place =
                    warning.line.map_or_else(|| warning.path.clone(), |line| format!("line {line}, {}", warning.path));
                Line::warned(what, format!("{place}: {}", warning.message), warning.hint.clone().unwrap_or_default())
            });
            lines.extend(warned);
            (lines, Some(loaded.config))
        }
    }
}

/// A line for each problem of the file; one line where it cannot be read.
fn of_problems(what: &str, error: &CliError) -> Vec<Line> {
    if error.problems().is_empty() {
        return vec![Line::failed(what, error.to_string(), error.hint().unwrap_or("correct it"))];
    }
    let line = |problem: &Problem| {
        let says = Problem { hint: None, ..problem.clone() }.to_string();
        let hint = problem.hint.as_deref().unwrap_or("correct it; `streamdex config schema` describes every key");
        Line::failed(what, says, hint)
    };
    error.problems().iter().map(line).collect()
}

/// What the configuration leads to.
async fn online(config: &Config, sample: u32) -> Vec<Line> {
    let ready = |uses: &'static [Uses]| async move { Box::pin(preflight(config, uses)).await.err() };
    let mut lines = Vec::new();
    let (mut table, mut facts) = (None, SetupContext::new());
    match ready(&[Uses::Sources]).await {
        Some(error) => lines.push(source::refused("credentials of the sources".to_owned(), &error)),
        None => {
            for source in &config.sources {
                let (of_source, survey) = Box::pin(source::lines(source, sample)).await;
                lines.extend(of_source);
                let Some(Survey { size, .. }) = survey else { continue };
                facts = facts.with_table(source.name.clone(), facts_of(&size));
                table = table.or(size.arn);
            }
        }
    }
    match ready(&[Uses::State]).await {
        Some(error) => lines.push(source::refused("credentials of the state table".to_owned(), &error)),
        None => lines.push(state::line(config, table.as_ref()).await),
    }
    match ready(&[Uses::OpenSearch]).await {
        Some(error) => lines.push(source::refused("credentials of OpenSearch".to_owned(), &error)),
        None => lines.extend(search::lines(config, &facts).await),
    }
    lines
}

//! `streamdex config check|schema|show`.

use serde_json::{Value, json};
use streamdex_config::{Config, ConfigError, Problem, json_schema, show};

use crate::args::{ConfigCommand, Global};
use crate::exit::{CliError, Exit};
use crate::output;
use crate::settings::{self, Origin};

/// Runs the command.
pub(crate) fn run(global: &Global, command: ConfigCommand) -> Result<Exit, CliError> {
    match command {
        ConfigCommand::Check => check(global),
        ConfigCommand::Schema => {
            let schema =
                serde_json::to_string_pretty(&json_schema()).map_err(|error| CliError::stdout(error.into()))?;
            output::print(&(schema + "\n"))?;
            Ok(Exit::Done)
        }
        ConfigCommand::Show => {
            let config = settings::configuration(global)?;
            let text = show(&config);
            if global.json {
                output::print_json(&json!({ "toml": text }))?
            } else {
                output::print(&text)?
            }
            Ok(Exit::Done)
        }
    }
}

fn check(global: &Global) -> Result<Exit, CliError> {
    let origin = settings::origin(global)?;
    if global.json {
        return check_as_json(&origin);
    }
    let loaded = settings::load(&origin)?;
    let mut text = match &origin {
        Origin::File(path) => format!("{}: good", path.display()),
        Origin::Environment(_) => "good".to_owned(),
    };
    match loaded.warnings.len() {
        0 => {}
        1 => text.push_str(", 1 warning"),
        count => text.push_str(&format!(", {count} warnings")),
    }
    for warning in &loaded.warnings {
        text.push_str(&format!("\n  warning: {warning}"));
    }
    output::print(&(text + "\n"))?;
    Ok(Exit::Done)
}

/// Problems are the result here, so that editors and pipelines can show them.
fn check_as_json(origin: &Origin) -> Result<Exit, CliError> {
    let loaded = match origin {
        Origin::File(path) => Config::load(path),
        Origin::Environment(text) => Config::parse(text, std::path::Path::new(""), &|name| std::env::var(name).ok()),
    };
    let (problems, warnings) = match loaded {
        Ok(loaded) => (Vec::new(), loaded.warnings),
        Err(error @ ConfigError::Unreadable { .. }) => return Err(error.into()),
        Err(error) => (error.problems().to_vec(), Vec::new()),
    };
    let list = |problems: &[Problem]| problems.iter().map(problem_json).collect::<Vec<Value>>();
    output::print_json(
        &json!({ "good": problems.is_empty(), "problems": list(&problems), "warnings": list(&warnings) }),
    )?;
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Usage })
}

fn problem_json(problem: &Problem) -> Value {
    json!({ "path": problem.path, "line": problem.line, "message": problem.message, "hint": problem.hint })
}

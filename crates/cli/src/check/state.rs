//! The state table.

use streamdex_config::{Config, TableArn};
use streamdex_dynamodb::Fault;
use streamdex_dynamodb::state::Partition;
use streamdex_dynamodb::survey::Survey;
use streamdex_dynamodb::trial;

use super::line::Line;
use super::source::{refused, tried};
use crate::connect;

/// The line of the state table. `table` is a followed one, where it is known.
pub(super) async fn line(config: &Config, table: Option<&TableArn>) -> Line {
    let state = connect::state_table(config).await;
    let what = format!("state table {}", state.name());
    let survey = Box::pin(connect::within(async { Ok(Survey::of(state.client(), state.name()).await) })).await;
    let survey = match survey {
        Ok(Ok(survey)) => survey,
        Ok(Err(error)) if error.fault() == Fault::NotFound => return missing(what, table),
        Ok(Err(error)) => return refused(what, &error.into()),
        Err(error) => return refused(what, &error),
    };
    if survey.size.key_names() != ["pk", "sk"] {
        let says = format!("its key is {}, so it is not a state table", survey.size.key_names().join(", "));
        return Line::failed(what, says, "name another table in state.table");
    }
    let group = state.group();
    let pk = match table {
        Some(table) => Partition::Follow { group, table: table.as_str() }.key(),
        None => Partition::Letters { group }.key(),
    };
    tried(what, &trial::state(&state, &pk).await)
}

fn missing(what: String, table: Option<&TableArn>) -> Line {
    if table.is_some_and(TableArn::is_emulator) {
        return Line::passed(what, "it does not exist yet; in an emulator `run` creates it");
    }
    Line::failed(what, "there is no such table", "create it with `streamdex state create`; the templates create it too")
}

//! Finds other readers of a stream: event source mappings of AWS Lambda.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{EventSourceMappingConfiguration, EventSourcePosition};
use streamdex_aws::call_reason;
use streamdex_config::StreamArn;

use super::line::Line;

/// The mappings on the stream, and where they began.
pub(super) async fn line(shared: &streamdex_aws::SdkConfig, stream: &StreamArn) -> Line {
    let what = format!("functions on the stream of {}", stream.table_name());
    let command = format!("aws lambda list-event-source-mappings --event-source-arn {stream}");
    let client = Client::new(shared);
    let listed = Box::pin(client.list_event_source_mappings().event_source_arn(stream.as_str()).send()).await;
    match listed {
        Ok(listed) => of_mappings(what, listed.event_source_mappings()),
        Err(error) => Line::unknown(what, format!("Lambda could not be asked: {}", call_reason(&error)), command),
    }
}

/// Two readers at most may share a stream; what was written while a mapping was made or changed is skipped without a trace
/// where it begins at LATEST ("Polling and stream starting positions", AWS Lambda).
fn of_mappings(what: String, mappings: &[EventSourceMappingConfiguration]) -> Line {
    let name = |mapping: &EventSourceMappingConfiguration| {
        let arn = mapping.function_arn().unwrap_or_default();
        arn.rsplit(':').next().unwrap_or(arn).to_owned()
    };
    let names: Vec<String> = mappings.iter().map(name).collect();
    let latest: Vec<String> = mappings
        .iter()
        .filter(|mapping| mapping.starting_position() == Some(&EventSourcePosition::Latest))
        .map(name)
        .collect();
    if mappings.is_empty() {
        return Line::passed(what, "none");
    }
    let says = names.join(", ");
    if !latest.is_empty() {
        let says = format!(
            "{says}; {} began at LATEST: changes during its creation or update were skipped",
            latest.join(", ")
        );
        return Line::warned(
            what,
            says,
            "if that is streamdex's function: create the mapping again with TRIM_HORIZON, and run `streamdex verify --full`",
        );
    }
    if mappings.len() > 1 {
        return Line::warned(
            what,
            format!("{says}: a stream serves at most two readers, `run` included"),
            "let one of them forward its records to the others",
        );
    }
    Line::passed(what, says)
}

#[cfg(test)]
mod tests {
    use super::super::line::State;
    use super::*;

    #[test]
    fn a_mapping_that_skipped_records_is_warned_of() {
        let mapping = |name: &str, position| {
            let arn = format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}");
            EventSourceMappingConfiguration::builder().function_arn(arn).starting_position(position).build()
        };
        let horizon = |name| mapping(name, EventSourcePosition::TrimHorizon);
        for (mappings, state, part) in [
            (vec![], State::Passed, "none"),
            (vec![horizon("a")], State::Passed, "a"),
            (vec![horizon("a"), horizon("b")], State::Warned, "at most two readers"),
            (vec![mapping("b", EventSourcePosition::Latest)], State::Warned, "b began at LATEST"),
        ] {
            let line = of_mappings("functions".to_owned(), &mappings);
            assert!(line.state == state && line.says.contains(part), "{line:?}");
        }
    }
}

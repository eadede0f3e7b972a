//! A followed table: its keys, its stream, and whether the stream can serve the routes.

use aws_sdk_dynamodb::types::{KeyType, TableDescription};
use streamdex_config::{Source, StreamArn, TableArn, TableReference, needs_old_images};
pub use streamdex_mapping::StreamView;

use crate::call::Call;
use crate::clients::SourceClients;
use crate::description::{describe_table, replicas_of, stream_of};
use crate::fault::{AwsError, Fault};
use crate::place::Place;

/// A table and its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// The table's name.
    pub table: String,
    /// The table's ARN.
    pub arn: TableArn,
    /// The table's id: another one after the table was deleted and made again. Unknown where the
    /// configuration names a stream.
    pub id: Option<String>,
    /// The key attributes, partition key first.
    pub keys: Vec<String>,
    /// Other regions of a global table. Unknown where the configuration names a stream.
    pub replicas: Vec<String>,
    /// The stream.
    pub stream: StreamInfo,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its ARN.
    pub arn: StreamArn,
    /// What its records carry.
    pub view: StreamView,
    /// Whether it takes changes.
    pub enabled: bool,
}

/// Why a source cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A call failed.
    #[error("{0}")]
    Aws(#[from] AwsError),
    /// There is no such table.
    #[error("there is no table {table}{place}")]
    NoTable {
        /// Its name.
        table: String,
        /// Where it was looked for.
        place: Place,
    },
    /// There is no such stream.
    #[error("there is no stream {stream}{place}")]
    NoStream {
        /// Its ARN.
        stream: String,
        /// Where it was looked for.
        place: Place,
    },
    /// The table has no stream, or it is switched off.
    #[error("the stream of table {0} is not enabled")]
    StreamDisabled(String),
    /// The stream carries too little for a route.
    #[error("the stream carries {view}, which cannot serve the route to {index}: {need}", view = .view.name())]
    View {
        /// What it carries.
        view: StreamView,
        /// The route's index.
        index: String,
        /// What the route needs.
        need: String,
        /// What to do.
        hint: &'static str,
    },
}

// === impl TableInfo ===

impl TableInfo {
    /// Asks for the table of `source`, or for its stream where the configuration names one.
    ///
    /// # Errors
    /// The table or stream is not there, has no enabled stream, or cannot be asked.
    pub async fn describe(clients: &SourceClients, source: &Source) -> Result<TableInfo, TableError> {
        match &source.table {
            TableReference::Name(name) => match Box::pin(of_table(clients, name)).await? {
                Described::With(info) => Ok(*info),
                // It can be read for a day.
                Described::SwitchedOff(Some(arn)) => {
                    let gone = |error| match error {
                        TableError::NoStream { .. } => TableError::StreamDisabled(name.clone()),
                        other => other,
                    };
                    Box::pin(of_stream(clients, &arn)).await.map_err(gone)
                }
                Described::SwitchedOff(None) => Err(TableError::StreamDisabled(name.clone())),
            },
            TableReference::StreamArn(arn) => Box::pin(of_stream(clients, arn)).await,
        }
    }
}

impl StreamInfo {
    /// Asks for a stream of `table`.
    ///
    /// # Errors
    /// It is not there, or cannot be asked.
    pub async fn describe(clients: &SourceClients, arn: &StreamArn) -> Result<StreamInfo, TableError> {
        Box::pin(of_stream(clients, arn)).await.map(|info| info.stream)
    }
}

/// A table, with a stream or without.
#[derive(Debug)]
enum Described {
    With(Box<TableInfo>),
    /// Its last stream, if it ever had one.
    SwitchedOff(Option<StreamArn>),
}

async fn of_table(clients: &SourceClients, name: &str) -> Result<Described, TableError> {
    let table = describe_table(&clients.dynamodb, name).await.map_err(|error| match error.fault() {
        Fault::NotFound => TableError::NoTable { table: name.to_owned(), place: error.place().clone() },
        _ => TableError::Aws(error),
    })?;
    Ok(read_table(&table, name))
}

fn read_table(table: &TableDescription, name: &str) -> Described {
    let Some((stream, view)) = stream_of(table) else {
        return Described::SwitchedOff(table.latest_stream_arn().and_then(StreamArn::parse));
    };
    let mut keys: Vec<_> = table.key_schema().iter().collect();
    keys.sort_by_key(|key| key.key_type != KeyType::Hash);
    Described::With(Box::new(TableInfo {
        table: table.table_name().unwrap_or(name).to_owned(),
        arn: table.table_arn().and_then(TableArn::parse).unwrap_or_else(|| stream.table()),
        id: table.table_id().map(str::to_owned),
        keys: keys.into_iter().map(|key| key.attribute_name.clone()).collect(),
        replicas: replicas_of(table),
        stream: StreamInfo { arn: stream, view, enabled: true },
    }))
}

async fn of_stream(clients: &SourceClients, arn: &StreamArn) -> Result<TableInfo, TableError> {
    let of_call = Call::of("DescribeStream");
    let call = clients.streams.describe_stream().stream_arn(arn.as_str()).limit(1);
    let answer = call.customize().interceptor(of_call.clone()).send().await;
    let answer = answer.map_err(|error| match of_call.failed(&error) {
        error if error.fault() == Fault::NotFound => {
            TableError::NoStream { stream: arn.to_string(), place: error.place().clone() }
        }
        error => TableError::Aws(error),
    })?;
    let stream = answer.stream_description.ok_or_else(|| of_call.lacks("StreamDescription"))?;
    let missing = || of_call.lacks("StreamDescription.StreamViewType");
    let view = stream.stream_view_type().map(|view| view.as_str()).and_then(StreamView::parse).ok_or_else(missing)?;
    let mut schema: Vec<_> = stream.key_schema().iter().collect();
    schema.sort_by_key(|key| key.key_type.as_str() != "HASH");
    let mut keys: Vec<String> = schema.into_iter().map(|key| key.attribute_name.clone()).collect();
    if keys.is_empty() {
        // An emulator leaves them out; the table has them.
        keys = match of_table(clients, arn.table_name()).await {
            Ok(Described::With(info)) => info.keys,
            _ => Vec::new(),
        };
    }
    let enabled = stream.stream_status().is_none_or(|status| matches!(status.as_str(), "ENABLED" | "ENABLING"));
    Ok(TableInfo {
        table: stream.table_name().unwrap_or(arn.table_name()).to_owned(),
        arn: arn.table(),
        id: None,
        keys,
        replicas: Vec::new(),
        stream: StreamInfo { arn: arn.clone(), view, enabled },
    })
}

/// The command that switches the stream of a table on.
pub fn switch_stream_on(table: &str) -> String {
    format!(
        "aws dynamodb update-table --table-name {table} --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    )
}

/// Checks that the stream carries what the routes need.
///
/// # Errors
/// The first route that it cannot serve.
pub fn check_view(source: &Source, info: &TableInfo) -> Result<(), TableError> {
    let view = info.stream.view;
    if view.has_old_image() {
        return Ok(());
    }
    for route in &source.routes {
        if let Some(need) = needs_old_images(route, &info.keys).into_iter().next() {
            let index = route.index.text().to_owned();
            return Err(TableError::View { view, index, need: need.to_string(), hint: need.hint() });
        }
    }
    Ok(())
}

// === impl TableError ===

impl TableError {
    /// What to do, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            TableError::Aws(error) => error.hint().to_owned(),
            TableError::NoTable { .. } => "check source.table, the region and the endpoint".to_owned(),
            TableError::NoStream { .. } => "name the table instead of the stream: turning a stream off and on creates a new one".to_owned(),
            TableError::StreamDisabled(_) => {
                "enable the table's stream, best with NEW_AND_OLD_IMAGES: aws dynamodb update-table --stream-specification".to_owned()
            }
            TableError::View { hint, .. } => (*hint).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{KeySchemaElement, StreamSpecification, StreamViewType};
    use streamdex_config::{AwsSettings, OnGap, StartPosition};
    use streamdex_mapping::{Condition, IndexName, Route, Test};

    use super::*;

    const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions/stream/2026-11-22T15:01:21.123";

    fn described(enabled: bool) -> TableDescription {
        let specification =
            StreamSpecification::builder().stream_enabled(enabled).stream_view_type(StreamViewType::NewImage);
        let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        TableDescription::builder()
            .table_name("sessions")
            .key_schema(key("at", KeyType::Range))
            .key_schema(key("pk", KeyType::Hash))
            .stream_specification(specification.build().unwrap())
            .latest_stream_arn(ARN)
            .build()
    }

    fn read() -> TableInfo {
        match read_table(&described(true), "sessions") {
            Described::With(info) => *info,
            Described::SwitchedOff(_) => panic!("it has a stream"),
        }
    }

    #[test]
    fn a_table_is_read() {
        let info = read();
        assert_eq!(info.arn.as_str(), "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions");
        assert_eq!(info.stream.arn.label(), "2026-11-22T15:01:21.123");
        assert_eq!(info.keys, ["pk", "at"]);
        let off = read_table(&described(false), "sessions");
        assert!(matches!(&off, Described::SwitchedOff(Some(arn)) if arn.as_str() == ARN), "{off:?}");
    }

    #[test]
    fn a_view_without_old_images_cannot_serve_conditions() {
        let info = read();
        let mut route = Route::to(IndexName::parse("sessions").unwrap());
        let condition =
            |attribute: &str| Condition { attribute: attribute.into(), test: Test::Exists(true), not: false };
        let source = |routes| Source {
            name: "s".into(),
            table: TableReference::Name("sessions".into()),
            region: None,
            endpoint_url: None,
            streams_endpoint_url: None,
            aws: AwsSettings::default(),
            start: StartPosition::TrimHorizon,
            backfill_at_most: None,
            on_gap: OnGap::Fail,
            freshness: Source::DEFAULT_FRESHNESS,
            routes,
        };
        route.when = vec![condition("pk")];
        assert!(check_view(&source(vec![route.clone()]), &info).is_ok());
        route.when = vec![condition("kind")];
        let error = check_view(&source(vec![route]), &info).unwrap_err();
        assert!(
            error.to_string().starts_with("the stream carries NEW_IMAGE, which cannot serve the route to sessions"),
            "{error}"
        );
        assert!(!error.hint().is_empty());
    }
}

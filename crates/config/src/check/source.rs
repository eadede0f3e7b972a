//! `[source]` and `[[source]]`.

use std::time::Duration;

use super::credentials::credentials;
use super::{endpoint, name, region};
use crate::arn::{Arn, StreamArn};
use crate::model::{AwsSettings, OnGap, Source, StartPosition, TableReference};
use crate::problem::{Place, Problems};
use crate::raw::{BackfillWord, OnGapWord, Root, SourceTable, StartWord};
use crate::read::{Located, OneOrMany};

/// The region in the stream ARNs of DynamoDB Local, whatever region it is asked in.
const REGION_OF_DYNAMODB_LOCAL: &str = "ddblocal";

/// All sources, without their routes. An unreadable source keeps its place with an empty name, so that routes can still
/// be distinguished.
pub(super) fn sources(root: &Root, aws: &AwsSettings, problems: &mut Problems) -> Vec<Source> {
    let Some(written) = root.source.required(&Place::default(), "source", problems) else {
        return Vec::new();
    };
    let tables: Vec<&Located<SourceTable>> = match &written.value {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many.iter().collect(),
    };
    if tables.is_empty() {
        problems.error(&written.place, "at least one source is needed");
    }
    let several = tables.len() > 1;
    let mut sources: Vec<Source> = Vec::with_capacity(tables.len());
    for table in tables {
        let mut source = source(table, aws, problems);
        if several && table.name.is_absent() {
            problems.missing(&table.place, "name");
            source.name.clear();
        } else if !source.name.is_empty() && sources.iter().any(|other| other.name == source.name) {
            let place = table.name.given().map_or(&table.place, |name| &name.place);
            problems.error(place, format!("two sources have the name {:?}", source.name));
        }
        one_table_once(table, &source, &sources, problems);
        sources.push(source);
    }
    sources
}

/// Two sources of one table would share its lease and its checkpoints, so that each misses what the other has read.
fn one_table_once(table: &Located<SourceTable>, source: &Source, others: &[Source], problems: &mut Problems) {
    let name = source.table.table_name();
    let twin = others.iter().find(|other| {
        let elsewhere = matches!((&other.region, &source.region), (Some(one), Some(another)) if one != another);
        !name.is_empty()
            && other.table.table_name() == name
            && !elsewhere
            && other.endpoint_url == source.endpoint_url
            && other.aws == source.aws
    });
    if let Some(twin) = twin {
        let message = format!("the source {:?} follows the table {name:?} too", twin.name);
        problems.error_with_hint(
            &table.place,
            message,
            "follow a table once, and put all its routes under that source",
        );
    }
}

fn source(table: &Located<SourceTable>, aws: &AwsSettings, problems: &mut Problems) -> Source {
    let reference = reference(table, problems);
    let name = match table.name.given() {
        Some(given) if name::is_label(given, problems) => given.value.clone(),
        Some(_) => String::new(),
        None => reference.table_name().to_owned(),
    };
    let endpoint_url = table.endpoint_url.present().and_then(|text| endpoint::endpoint(text, problems));
    let streams_endpoint_url = table.streams_endpoint_url.present().and_then(|text| endpoint::endpoint(text, problems));
    Source {
        name,
        region: region(table, &reference, problems),
        table: reference,
        streams_endpoint_url: streams_endpoint_url.or_else(|| endpoint_url.clone()),
        endpoint_url,
        aws: credentials([&table.profile, &table.role_arn, &table.external_id], aws, problems),
        start: match table.start.get() {
            Some(StartWord::Latest) => StartPosition::Latest,
            Some(StartWord::TrimHorizon) | None => StartPosition::TrimHorizon,
        },
        freshness: freshness(table, problems),
        backfill_at_most: match table.backfill.get() {
            Some(BackfillWord::Never) => None,
            Some(BackfillWord::IfEmpty) | None => {
                Some(table.backfill_max_items.given().map_or(Source::DEFAULT_BACKFILL_AT_MOST, |given| given.value))
            }
        },
        on_gap: match table.on_gap.get() {
            Some(OnGapWord::Resnapshot) => OnGap::Resnapshot,
            Some(OnGapWord::Fail) | None => OnGap::Fail,
        },
        routes: Vec::new(),
    }
}

fn freshness(table: &SourceTable, problems: &mut Problems) -> Duration {
    let Some(freshness) = table.freshness.given() else { return Source::DEFAULT_FRESHNESS };
    if !(Duration::from_millis(200)..=Duration::from_secs(60)).contains(&freshness.0) {
        problems.error_with_hint(&freshness.place, "this freshness is out of range", "give 200ms to 60s");
    }
    freshness.0
}

fn reference(table: &Located<SourceTable>, problems: &mut Problems) -> TableReference {
    let nothing = TableReference::Name(String::new());
    match (table.table.given(), table.stream_arn.given()) {
        (Some(name), None) if name::is_table(name, problems) => TableReference::Name(name.value.clone()),
        (Some(_), None) => nothing,
        (None, Some(arn)) => match StreamArn::parse(arn).filter(|_| Arn::parse(arn).is_some_and(Arn::is_dynamodb)) {
            Some(arn) => TableReference::StreamArn(arn),
            None => {
                let hint = "a stream's ARN has the form arn:aws:dynamodb:REGION:ACCOUNT:table/NAME/stream/LABEL";
                problems.error_with_hint(&arn.place, "this is not the ARN of a DynamoDB stream", hint);
                nothing
            }
        },
        (Some(_), Some(arn)) => {
            problems.error_with_hint(&arn.place, "table and stream_arn exclude each other", "keep one of them");
            nothing
        }
        (None, None) => {
            if table.table.is_absent() && table.stream_arn.is_absent() {
                problems.error_with_hint(&table.place, "table is missing", "give the table's name, or its stream_arn");
            }
            nothing
        }
    }
}

fn region(table: &SourceTable, reference: &TableReference, problems: &mut Problems) -> Option<String> {
    let given = table.region.present();
    let of_arn = match reference {
        TableReference::StreamArn(arn) => {
            Arn::parse(arn.as_str()).map(|arn| arn.region).filter(|region| *region != REGION_OF_DYNAMODB_LOCAL)
        }
        TableReference::Name(_) => None,
    };
    match (given, of_arn) {
        (Some(given), Some(of_arn)) if given.value != of_arn => {
            let hint = "remove region; it is taken from stream_arn";
            problems.error_with_hint(&given.place, format!("the stream is in {of_arn}"), hint);
        }
        (Some(given), None) if table.endpoint_url.present().is_none() => region::check(given, problems),
        _ => {}
    }
    given.map(|region| region.value.clone()).or_else(|| of_arn.map(str::to_owned))
}

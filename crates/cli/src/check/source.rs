//! One source: its table, its stream, its items.

use std::time::Duration;

use streamdex_aws::{MissingRegion, sdk_config};
use streamdex_config::{Source, StreamArn, TableArn, TableReference, key_mismatches, needs_old_images};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::survey::Survey;
use streamdex_dynamodb::table::switch_stream_on;
use streamdex_dynamodb::trial::{self, Tried};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{Image, Key, Mapper, StreamView};

use super::documents::Documents;
use super::line::{Line, counted};
use super::readers;
use crate::connect;
use crate::exit::CliError;
use crate::sample::Sample;

/// A request is good for five minutes ("Signing AWS API requests"), and versions rest on the server's clock alone.
const FAR_OFF: Duration = Duration::from_secs(30);
/// Other places than those that `init` takes its sample from.
const PLACES: u32 = 5;
/// What to do where a permission is missing.
pub(super) const GRANT: &str = "streamdex iam-policy --for run prints what it needs";

/// The lines of a source, and what its table says of itself.
pub(super) async fn lines(source: &Source, sample: u32) -> (Vec<Line>, Option<Survey>) {
    let clients = SourceClients::connect(source).await;
    let table = source.table.table_name();
    let survey = match answered(Survey::of(&clients.dynamodb, table)).await {
        Ok(survey) => survey,
        Err(error) => {
            let mut lines = vec![refused(format!("table {table}"), &error)];
            // A stream that is named can be followed all the same.
            if let TableReference::StreamArn(arn) = &source.table {
                lines.push(tried(format!("read the stream of {table}"), &trial::stream(&clients, arn).await));
            }
            return (lines, None);
        }
    };
    let is_emulated = survey.size.arn.as_ref().is_none_or(TableArn::is_emulator);
    let mut lines = vec![of_table(&survey), of_keys(source, &survey)];
    lines.extend(of_stream(source, &survey));
    if let Some(arn) = stream_arn(source, &survey) {
        lines.push(tried(format!("read the stream of {table}"), &trial::stream(&clients, &arn).await));
        if !is_emulated {
            let shared = Box::pin(sdk_config(&source.aws, source.region.as_deref(), MissingRegion::Required)).await;
            lines.push(readers::line(&shared, &arn).await);
        }
    }
    lines.push(of_ttl(source, table, answered(Survey::ttl(&clients.dynamodb, table)).await));
    if !is_emulated {
        lines.push(of_encryption(&survey));
        lines.push(of_recovery(table, answered(Survey::has_recovery(&clients.dynamodb, table)).await));
    }
    lines.extend(of_replicas(&survey));
    lines.extend(of_items(source, &clients, &survey, sample).await);
    (lines, Some(survey))
}

/// A call within the time of a one-shot command.
pub(super) async fn answered<T>(call: impl Future<Output = Result<T, AwsError>>) -> Result<T, CliError> {
    Box::pin(connect::within(async { Ok(call.await?) })).await
}

/// A call that failed.
pub(super) fn refused(what: String, error: &CliError) -> Line {
    Line::failed(what, error.to_string(), error.hint().unwrap_or(GRANT))
}

/// Calls that were tried: what was refused, and what could not be tried for that.
pub(super) fn tried(what: String, tried: &[Tried]) -> Line {
    let names = |of: fn(&&Tried) -> bool| -> Vec<&str> { tried.iter().filter(of).map(|one| one.action).collect() };
    let failed: Vec<(&str, &AwsError)> =
        tried.iter().filter_map(|one| Some((one.action, one.result.as_ref()?.as_ref().err()?))).collect();
    let allowed = names(|one| matches!(one.result, Some(Ok(()))));
    let untried = names(|one| one.result.is_none());
    let left = if untried.is_empty() { String::new() } else { format!("; not tested: {}", untried.join(", ")) };
    match failed.first() {
        None => Line::passed(what, format!("allowed: {}{left}", allowed.join(", "))),
        Some((_, error)) => {
            let denied = error.fault() == Fault::Denied;
            let hint = if denied { GRANT } else { error.hint() };
            let failed: Vec<String> = failed.iter().map(|(action, error)| format!("{action}: {error}")).collect();
            Line::failed(what, format!("{}{left}", failed.join("; ")), hint)
        }
    }
}

fn of_table(survey: &Survey) -> Line {
    let Survey { table, is_active, size, .. } = survey;
    let keys: Vec<String> = size.keys.iter().map(|key| format!("{} ({:?})", key.name, key.kind)).collect();
    let says = format!("about {} items, {} bytes; key {}", size.items, size.bytes, keys.join(", ").to_lowercase());
    let what = format!("table {table}");
    if *is_active {
        Line::passed(what, says)
    } else {
        Line::failed(what, format!("{says}; it is not active"), "wait until DynamoDB has created or updated it")
    }
}

fn of_keys(source: &Source, survey: &Survey) -> Line {
    let keys = survey.size.key_names();
    let what = format!("routes of {}", survey.table);
    let mismatch =
        source.routes.iter().find_map(|route| Some((route, key_mismatches(route, &keys).into_iter().next()?)));
    match mismatch {
        None => Line::passed(what, fits(source.routes.len())),
        Some((route, mismatch)) => {
            Line::failed(what, format!("the route to {}: {mismatch}", route.index.text()), mismatch.hint())
        }
    }
}

fn fits(routes: usize) -> String {
    format!("{} {} the table's key", counted(routes, "route"), if routes == 1 { "fits" } else { "fit" })
}

fn stream_arn(source: &Source, survey: &Survey) -> Option<StreamArn> {
    match &source.table {
        TableReference::StreamArn(arn) => Some(arn.clone()),
        TableReference::Name(_) => survey.stream.as_ref().map(|(arn, _)| arn.clone()),
    }
}

fn of_stream(source: &Source, survey: &Survey) -> Vec<Line> {
    let what = format!("stream of {}", survey.table);
    let Some((arn, view)) = &survey.stream else {
        return vec![Line::failed(what, "it is off, so no change can be read", switch_stream_on(&survey.table))];
    };
    let mut lines = Vec::new();
    if let TableReference::StreamArn(named) = &source.table
        && named != arn
    {
        let says = format!("the configuration names {}, but the table has {}", named.label(), arn.label());
        lines.push(Line::failed(
            what.clone(),
            says,
            "name the table instead of the stream, or name its current stream",
        ));
    }
    let keys = survey.size.key_names();
    let need = source.routes.iter().find_map(|route| Some((route, needs_old_images(route, &keys).into_iter().next()?)));
    lines.push(match need.filter(|_| !view.has_old_image()) {
        Some((route, need)) => Line::failed(
            what,
            format!("it carries {}; the route to {}: {need}", view.name(), route.index.text()),
            need.hint(),
        ),
        None if matches!(view, StreamView::KeysOnly | StreamView::OldImage) => {
            let says = format!("it is on, and carries {}, so each changed item is read from the table", view.name());
            Line::warned(
                what,
                says,
                "NEW_AND_OLD_IMAGES needs no reads, and changes that leave the document unchanged are not sent",
            )
        }
        None => Line::passed(what, format!("it is on, and carries {}", view.name())),
    });
    lines
}

fn of_ttl(source: &Source, table: &str, ttl: Result<Option<String>, CliError>) -> Line {
    let what = format!("expiry in {table}");
    let routes: Vec<&str> = source.routes.iter().filter_map(|route| Some(&*route.ttl.as_ref()?.attribute)).collect();
    match ttl {
        Err(error) => {
            let command = format!("aws dynamodb describe-time-to-live --table-name {table}");
            Line::unknown(what, format!("the table's TTL could not be read: {error}"), command)
        }
        Ok(Some(attribute)) if routes.is_empty() => {
            let says = format!("items expire at {attribute}, but no route has a ttl");
            let hint = format!(
                "ttl = {{ attribute = \"{attribute}\" }} in a route maps it as a date, and creates an alias of live items: DynamoDB removes expired items up to days late"
            );
            Line::warned(what, says, hint)
        }
        Ok(Some(attribute)) if routes.iter().any(|route| *route != attribute) => Line::failed(
            what,
            format!("items expire at {attribute}, but a route says {}", routes.join(", ")),
            "name the table's TTL attribute in ttl.attribute",
        ),
        Ok(Some(attribute)) => Line::passed(what, format!("items expire at {attribute}, as the routes say")),
        Ok(None) if routes.is_empty() => Line::passed(what, "items do not expire"),
        Ok(None) => {
            let says = format!("the routes have a ttl ({}), but TTL is off in the table", routes.join(", "));
            Line::warned(what, says, "turn it on: aws dynamodb update-time-to-live; or remove ttl from the routes")
        }
    }
}

fn of_encryption(survey: &Survey) -> Line {
    let what = format!("encryption of {}", survey.table);
    match &survey.kms_key {
        None => Line::passed(what, "with a key that DynamoDB owns; no permission is needed"),
        Some(key) => {
            let says = "with a KMS key; if it is a customer key, readers need kms:Decrypt";
            Line::passed(
                what,
                format!("{says} (iam-policy --source-key {key}); the reads below show whether it is granted"),
            )
        }
    }
}

fn of_recovery(table: &str, recovery: Result<bool, CliError>) -> Line {
    let what = format!("recovery of {table}");
    match recovery {
        Ok(true) => Line::passed(what, "point-in-time recovery is on"),
        Ok(false) => {
            let hint = "streamdex only reads the table and does not need it; your data may";
            Line::warned(what, "point-in-time recovery is off", hint)
        }
        Err(error) => {
            let command = format!("aws dynamodb describe-continuous-backups --table-name {table}");
            Line::unknown(what, format!("the table could not be asked: {error}"), command)
        }
    }
}

fn of_replicas(survey: &Survey) -> Option<Line> {
    let replicas = survey.replicas.join(", ");
    (!survey.replicas.is_empty()).then(|| {
        let says = format!("it has replicas in {replicas}; a global table's stream serves one reader");
        Line::warned(
            format!("table {}", survey.table),
            says,
            "for one index, follow it in one region: docs/global-tables.md",
        )
    })
}

async fn of_items(source: &Source, clients: &SourceClients, survey: &Survey, sample: u32) -> Vec<Line> {
    let table = &survey.table;
    let what = format!("read items of {table}");
    let sampled = match answered(Sample::of(clients, table, sample, PLACES)).await {
        Ok(sampled) => sampled,
        Err(error) if run_reads_items(source, survey) => return vec![refused(what, &error)],
        Err(error) => {
            let hint = "with this configuration `run` does not need it, but `verify` and `backfill` do";
            return vec![Line::unknown(what, format!("items could not be read: {error}"), hint)];
        }
    };
    let keys = survey.size.key_names();
    let mut calls = vec![Tried { action: "dynamodb:Scan", result: Some(Ok(())) }];
    if let Some(key) = sampled.items.first().and_then(|item| Key::of_item(&Image::of_item(item), &keys)) {
        calls.push(trial::read_item(clients, table, key).await);
    }
    let mut lines = vec![tried(what, &calls)];
    lines.push(of_clock(sampled.clock));
    let mapper = Mapper::new(source.routes.clone());
    lines.extend(Documents::of(&mapper, &keys, sampled.items.iter().map(AsRef::as_ref)).lines());
    lines
}

/// Whether `run` reads items: to fill an empty index, after a gap, and of a stream without new images.
fn run_reads_items(source: &Source, survey: &Survey) -> bool {
    let views = survey.stream.as_ref().map(|(_, view)| view);
    source.may_be_scanned() || matches!(views, Some(StreamView::KeysOnly | StreamView::OldImage))
}

fn of_clock(difference: Duration) -> Line {
    let says = format!("{} s from DynamoDB's", difference.as_secs());
    if difference <= FAR_OFF {
        return Line::passed("this machine's clock", says);
    }
    Line::warned(
        "this machine's clock",
        says,
        "synchronise it with NTP: AWS refuses requests whose time is five minutes off",
    )
}

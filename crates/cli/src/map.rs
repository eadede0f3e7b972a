//! `streamdex map`: prints what would be sent, and sends nothing.

use std::fmt::Write as _;

use serde_json::json;
use streamdex_delivery::page::{Fate, Page};
use streamdex_mapping::{Address, Outcome};
use streamdex_sink::encode_operation;
use streamdex_sink::index::ConcreteNames;

use crate::args::{Global, MapArgs};
use crate::captured::{CapturedFor, Capturer, MappedItem};
use crate::exit::{CliError, Exit};
use crate::input::Input;
use crate::{output, settings};

/// Runs the command: the bulk body on stdout, a line on stderr for each record that sends nothing.
pub(crate) fn run(global: &Global, arguments: &MapArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let capturer = Capturer::new(&config, arguments.source.as_deref(), CapturedFor::Show)?;
    let names = ConcreteNames::new(&config);
    let mut exit = Exit::Done;
    for mut input in Input::open_all(&arguments.files)? {
        let mut number = 0;
        while let Some(piece) = input.next_piece()? {
            let pages = capturer.capture(&input.name, &piece)?;
            for (_, page) in pages.pages {
                exit = exit.max(show_page(&names, &input.name, &mut number, page)?);
            }
            for item in pages.items {
                number += 1;
                exit = exit.max(show_item(&names, &format!("{} item {number}", input.name), item)?);
            }
        }
        if number == 0 {
            output::note(&format!("{}: no records\n", input.name));
        }
    }
    Ok(exit)
}

fn show_page(names: &ConcreteNames, name: &str, number: &mut usize, page: Page) -> Result<Exit, CliError> {
    let (mut exit, mut body, mut notes) = (Exit::Done, Vec::new(), String::new());
    let (operations, fates) = page.into_parts();
    for operation in &operations {
        encode_operation(&mut body, &target(names, &operation.address)?, operation);
    }
    for fate in fates {
        *number += 1;
        let note = match fate {
            Fate::Sent => continue,
            Fate::Nothing(outcome) => note_of(outcome).to_owned(),
            Fate::Fetch => "needs the item, which would be read from the table".to_owned(),
            Fate::Refused { reason, error } => {
                exit = Exit::DeadLetters;
                format!("bad: {error} ({reason})")
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(notes, "{name} record {number}: {note}");
    }
    output::note(&notes);
    output::print_bytes(&body)?;
    Ok(exit)
}

fn note_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unchanged => "unchanged: nothing to send",
        Outcome::Filtered => "filtered: no route takes it",
        Outcome::Coalesced => "coalesced into a later record of the same document",
        _ => outcome.name(),
    }
}

/// Items have no version, so their lines carry none; they are fit for an empty index.
fn show_item(names: &ConcreteNames, place: &str, item: MappedItem) -> Result<Exit, CliError> {
    match item {
        Ok(Some((address, document))) => {
            let mut action = json!({ "_index": target(names, &address)?, "_id": address.id.as_str() });
            if let (Some(routing), Some(members)) = (&address.routing, action.as_object_mut()) {
                members.insert("routing".to_owned(), json!(&**routing));
            }
            let mut line = json!({ "index": action }).to_string().into_bytes();
            line.push(b'\n');
            line.extend_from_slice(&document);
            line.push(b'\n');
            output::print_bytes(&line)?;
            Ok(Exit::Done)
        }
        Ok(None) => {
            output::note(&format!("{place}: filtered: no route takes it\n"));
            Ok(Exit::Done)
        }
        Err(error) => {
            output::note(&format!("{place}: bad: {error}\n"));
            Ok(Exit::DeadLetters)
        }
    }
}

fn target(names: &ConcreteNames, address: &Address) -> Result<String, CliError> {
    let unknown = || CliError::new(Exit::Usage, format!("no route writes to index {}", address.index));
    names.find(&address.index).ok_or_else(unknown)
}

//! Commands of later versions: who asks for one learns that, and not that it is unknown.

/// Commands, and what may follow them.
const LATER: [(&str, &[&str]); 7] = [
    ("init", &[]),
    ("check", &[]),
    ("explain", &[]),
    ("await", &[]),
    ("backfill", &[]),
    ("rebuild", &[]),
    ("dlq", &["replay", "drop"]),
];

/// The command of a later version that the words of a command line ask for.
pub(crate) fn asked_for(words: &[String]) -> Option<String> {
    let mut words = words.iter().skip(1).filter(|word| !word.starts_with('-'));
    let (command, next) = (words.next()?, words.next());
    let (_, parts) = LATER.iter().find(|(later, _)| later == command)?;
    match next.filter(|next| parts.contains(&next.as_str())) {
        Some(part) => Some(format!("{command} {part}")),
        None => parts.is_empty().then(|| command.clone()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn commands_of_later_versions_are_known_by_name() {
        assert_eq!(asked_for(&words("streamdex backfill --source x")).as_deref(), Some("backfill"));
        assert_eq!(asked_for(&words("streamdex dlq replay")).as_deref(), Some("dlq replay"));
        for line in ["streamdex", "streamdex dlq", "streamdex dlq list", "streamdex frobnicate", "streamdex dlq lost"] {
            assert_eq!(asked_for(&words(line)), None, "{line}");
        }
    }

    #[test]
    fn none_of_them_exists() {
        let tree = Cli::command();
        for (command, parts) in LATER {
            let found = tree.find_subcommand(command);
            assert_eq!(found.is_some(), !parts.is_empty(), "{command}");
            assert!(parts.iter().all(|part| found.unwrap().find_subcommand(part).is_none()), "{command}");
        }
    }
}

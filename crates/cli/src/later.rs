//! Commands of later versions: who asks for one learns that, and not that it is unknown.

const LATER: [&str; 1] = ["await"];

/// The command of a later version that the words of a command line ask for.
pub(crate) fn asked_for(words: &[String]) -> Option<&str> {
    let command = words.iter().skip(1).find(|word| !word.starts_with('-'))?;
    LATER.into_iter().find(|later| later == command)
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
        assert_eq!(asked_for(&words("streamdex await --source x")), Some("await"));
        for line in ["streamdex", "streamdex dlq", "streamdex dlq list", "streamdex frobnicate"] {
            assert_eq!(asked_for(&words(line)), None, "{line}");
        }
    }

    #[test]
    fn none_of_them_exists() {
        let tree = Cli::command();
        assert!(LATER.iter().all(|command| tree.find_subcommand(command).is_none()));
    }
}

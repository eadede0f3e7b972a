//! Checks for other readers of a table's stream, which serves at most two. Pure.

use crate::exit::{CliError, Exit};

/// Who reads a stream beside the rebuild.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Others {
    /// Groups whose workers read it now.
    pub(super) groups: Vec<String>,
    /// A Lambda function does, as the user says.
    pub(super) lambda: bool,
    /// The table is a global one, whose replication may be a reader.
    pub(super) is_global: bool,
}

impl Others {
    /// Whether there is room for the reader of the rebuild.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn has_room(&self, table: &str) -> Result<(), CliError> {
        let mut readers: Vec<String> = self.groups.iter().map(|group| format!("the group {group}")).collect();
        readers.extend(self.lambda.then(|| "the Lambda function".to_owned()));
        readers.extend(self.is_global.then(|| "the replication of the global table".to_owned()));
        if readers.len() < 2 {
            return Ok(());
        }
        let message = format!("the stream of {table} has two readers already: {}", readers.join(" and "));
        let hint = if self.is_global {
            "for a global table: stop the process that writes the index, rebuild, and start `streamdex run` with the new configuration once searches have moved; until then searches see the index as it was at the stop"
        } else {
            "stop one of them: a third reader of a stream is throttled"
        };
        Err(CliError::new(Exit::Usage, message).with_hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_readers_are_the_limit_of_a_stream() {
        let others = |groups: &[&str], lambda, is_global| Others {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            lambda,
            is_global,
        };
        for room in [others(&[], false, false), others(&["a"], false, false), others(&[], true, false)] {
            assert!(room.has_room("t").is_ok(), "{room:?}");
        }
        assert!(others(&[], false, true).has_room("t").is_ok(), "nothing else reads it now");
        for full in [others(&["a", "b"], false, false), others(&["a"], true, false), others(&["a"], false, true)] {
            let refused = full.has_room("t").unwrap_err();
            assert_eq!(refused.exit(), Exit::Usage);
            assert_eq!(refused.hint().unwrap().contains("global table"), full.is_global);
        }
    }
}

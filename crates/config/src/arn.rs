//! Amazon Resource Names, as far as streamdex reads them.

use std::fmt;

/// The parts of `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, borrowed. Some resources have no region or account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, …
    pub partition: &'a str,
    /// As `dynamodb`.
    pub service: &'a str,
    /// As `eu-west-1`.
    pub region: &'a str,
    /// Twelve digits; emulators have their own.
    pub account: &'a str,
    /// As `table/sessions`.
    pub resource: &'a str,
}

/// The ARN of a table: `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableArn(Box<str>);

/// The ARN of a stream: its table's, `/stream/`, and the stream's label.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamArn(Box<str>);

/// The account of the tables of DynamoDB Local and its like.
const EMULATOR_ACCOUNT: &str = "000000000000";
const TABLE: &str = "table/";
const STREAM: &str = "/stream/";

// === impl Arn ===

impl<'a> Arn<'a> {
    /// The parts of `text`; `None` where it is no ARN.
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.splitn(6, ':');
        let scheme = parts.next()?;
        let (partition, service) = (parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        (scheme == "arn").then_some(Arn { partition, service, region, account, resource })
    }

    /// The name of the table and the label of the stream, where it is the ARN of a stream.
    pub fn stream(self) -> Option<(&'a str, &'a str)> {
        let (table, label) = self.resource.strip_prefix(TABLE)?.split_once(STREAM)?;
        (is_name(table) && !label.is_empty()).then_some((table, label))
    }

    /// Whether it names something of Amazon's DynamoDB.
    pub fn is_dynamodb(self) -> bool {
        self.partition.starts_with("aws") && self.service == "dynamodb"
    }
}

// === impl TableArn ===

impl TableArn {
    /// Takes the ARN of a table; `None` for anything else.
    pub fn parse(text: &str) -> Option<TableArn> {
        let name = Arn::parse(text)?.resource.strip_prefix(TABLE)?;
        is_name(name).then(|| TableArn(text.into()))
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Whether the table is an emulator's.
    pub fn is_emulator(&self) -> bool {
        Arn::parse(&self.0).is_some_and(|arn| arn.account == EMULATOR_ACCOUNT)
    }

    /// The table's stream with this label.
    pub fn stream(&self, label: &str) -> StreamArn {
        StreamArn(format!("{}{STREAM}{label}", self.0).into())
    }
}

// === impl StreamArn ===

impl StreamArn {
    /// Takes the ARN of a stream; `None` for anything else.
    pub fn parse(text: &str) -> Option<StreamArn> {
        Arn::parse(text)?.stream().map(|_| StreamArn(text.into()))
    }

    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ARN of the table.
    pub fn table(&self) -> TableArn {
        TableArn(self.0.split_once(STREAM).map_or(&*self.0, |(table, _)| table).into())
    }

    /// The table's name.
    pub fn table_name(&self) -> &str {
        self.parts().map_or("", |(table, _)| table)
    }

    /// The stream's label: the time when it was switched on.
    pub fn label(&self) -> &str {
        self.parts().map_or("", |(_, label)| label)
    }

    fn parts(&self) -> Option<(&str, &str)> {
        Arn::parse(&self.0)?.stream()
    }
}

fn is_name(table: &str) -> bool {
    !table.is_empty() && !table.contains('/')
}

macro_rules! shown_as_text {
    ($name:ty) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

shown_as_text!(TableArn);
shown_as_text!(StreamArn);

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE_ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";
    const LABEL: &str = "2026-11-22T15:01:21.123";

    #[test]
    fn a_stream_names_its_table_and_its_label() {
        let stream = StreamArn::parse(&format!("{TABLE_ARN}/stream/{LABEL}")).unwrap();
        assert_eq!(stream.table(), TableArn::parse(TABLE_ARN).unwrap());
        assert_eq!(stream.table().name(), "sessions");
        assert_eq!(stream.label(), LABEL);
        assert_eq!(stream.table().stream(LABEL), stream);
        // AWS's own example event spells the account in words, and labels hold colons.
        let example = "arn:aws:dynamodb:us-west-2:account-id:table/Example/stream/2015-06-27T00:48:05.899";
        assert_eq!(StreamArn::parse(example).unwrap().table().name(), "Example");
    }

    #[test]
    fn emulators_are_told_by_their_account() {
        let is_emulator = |text| TableArn::parse(text).unwrap().is_emulator();
        assert!(is_emulator("arn:aws:dynamodb:ddblocal:000000000000:table/t"));
        assert!(!is_emulator(TABLE_ARN));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "arn", "sessions", "arn:aws:dynamodb:r:1:index/t", "arn:aws:dynamodb:r:1:table/", "x:a:b:c:d:table/t"]
        {
            assert_eq!(TableArn::parse(text), None, "{text}");
            assert_eq!(StreamArn::parse(&format!("{text}/stream/{LABEL}")), None, "{text}");
        }
        for text in [TABLE_ARN, &format!("{TABLE_ARN}/stream/"), &format!("{TABLE_ARN}/index/i")] {
            assert_eq!(StreamArn::parse(text), None, "{text}");
        }
    }
}

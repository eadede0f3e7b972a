//! Where a resource is: partition, region and account of its ARN.

use streamdex_config::{Arn, AwsSettings, Source, TableReference};

/// In place of what is not known; CloudFormation's `Fn::Sub` fills them in.
pub(crate) const PARTITION: &str = "${AWS::Partition}";
pub(crate) const REGION: &str = "${AWS::Region}";
pub(crate) const ACCOUNT: &str = "${AWS::AccountId}";

/// What holds where the configuration gives nothing else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Around {
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
}

/// Partition, region and account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: String,
    pub(super) region: String,
    pub(super) account: String,
}

/// The partitions, by how the names of their regions begin; the longer beginning comes first.
const PARTITIONS: [(&str, &str); 5] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-iso-", "aws-iso"),
    ("eusc-", "aws-eusc"),
];

// === impl Place ===

impl Place {
    /// Where `credentials` look for a resource of this region: a role sees the resources of its own account.
    pub(super) fn new(around: &Around, region: Option<&str>, credentials: &AwsSettings) -> Place {
        let region = region.or(around.region.as_deref()).unwrap_or(REGION);
        let of_role = credentials
            .role_arn
            .as_deref()
            .and_then(Arn::parse)
            .map(|arn| arn.account)
            .filter(|account| !account.is_empty());
        let account = of_role.or(around.account.as_deref()).unwrap_or(ACCOUNT);
        let known = PARTITIONS.iter().find(|(begins, _)| region.starts_with(begins)).map(|(_, partition)| *partition);
        let partition = known.unwrap_or(if region == REGION { PARTITION } else { "aws" });
        Place { partition: partition.to_owned(), region: region.to_owned(), account: account.to_owned() }
    }

    /// Where the table of `source` is.
    pub(super) fn of_source(around: &Around, source: &Source) -> Place {
        match &source.table {
            TableReference::Name(_) => Place::new(around, source.region.as_deref(), &source.aws),
            TableReference::StreamArn(stream) => match Arn::parse(stream.as_str()) {
                Some(Arn { partition, region, account, .. }) => {
                    Place { partition: partition.into(), region: region.into(), account: account.into() }
                }
                None => Place::new(around, source.region.as_deref(), &source.aws),
            },
        }
    }

    /// The ARN of a resource in this place.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    /// The name under which KMS knows a service here.
    pub(super) fn via(&self, service: &str) -> String {
        format!("{service}.{}.amazonaws.com", self.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_as_exact_as_what_is_known() {
        let around = |account: Option<&str>, region: Option<&str>| Around {
            account: account.map(str::to_owned),
            region: region.map(str::to_owned),
        };
        let plain = AwsSettings::default();
        let role = AwsSettings { role_arn: Some("arn:aws:iam::222222222222:role/r".into()), ..AwsSettings::default() };
        let table = |around: Around, region, credentials: &AwsSettings| {
            Place::new(&around, region, credentials).arn("dynamodb", "table/t")
        };
        let nothing = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/t";
        assert_eq!(table(around(None, None), None, &plain), nothing);
        let own = around(Some("1"), Some("us-east-1"));
        assert_eq!(table(own.clone(), None, &plain), "arn:aws:dynamodb:us-east-1:1:table/t");
        assert_eq!(table(own.clone(), Some("cn-north-1"), &plain), "arn:aws-cn:dynamodb:cn-north-1:1:table/t");
        assert_eq!(table(own, None, &role), "arn:aws:dynamodb:us-east-1:222222222222:table/t");
    }
}

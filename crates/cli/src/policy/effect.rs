//! Finds the options that have no effect on a policy.

use super::facts::{Facts, View};

/// A fact, by the option that gives it.
pub(crate) struct Fact {
    pub(crate) option: &'static str,
    given: fn(&Facts) -> bool,
    one: fn(&mut Facts),
    other: fn(&mut Facts),
}

/// All facts but account and region, which are for what the configuration leaves open. The view is a fact once it is
/// given, so its caller tells.
pub(crate) const FACTS: [Fact; 14] = [
    Fact { option: "--redrive", given: |f| f.redrive, one: |f| f.redrive = true, other: |f| f.redrive = false },
    Fact {
        option: "--source-key",
        given: |f| !f.source_keys.is_empty(),
        one: |f| f.source_keys = vec![KEY.to_owned()],
        other: |f| f.source_keys.clear(),
    },
    Fact {
        option: "--state-key",
        given: |f| f.state_key.is_some(),
        one: |f| f.state_key = Some(KEY.to_owned()),
        other: |f| f.state_key = None,
    },
    Fact {
        option: "--secret-key",
        given: |f| f.secret_key.is_some(),
        one: |f| f.secret_key = Some(KEY.to_owned()),
        other: |f| f.secret_key = None,
    },
    Fact {
        option: "--on-failure-bucket",
        given: |f| f.failure_bucket.is_some(),
        one: |f| f.failure_bucket = Some("one".to_owned()),
        other: |f| f.failure_bucket = None,
    },
    Fact {
        option: "--bucket-key",
        given: |f| f.bucket_key.is_some(),
        one: |f| f.bucket_key = Some(KEY.to_owned()),
        other: |f| f.bucket_key = None,
    },
    Fact {
        option: "--log-group",
        given: |f| f.log_group.is_some(),
        one: |f| f.log_group = Some("one".to_owned()),
        other: |f| f.log_group = None,
    },
    Fact {
        option: "--function-key",
        given: |f| f.function_key.is_some(),
        one: |f| f.function_key = Some(KEY.to_owned()),
        other: |f| f.function_key = None,
    },
    Fact {
        option: "--function",
        given: |f| f.function.is_some(),
        one: |f| f.function = Some("one".to_owned()),
        other: |f| f.function = None,
    },
    Fact {
        option: "--subnet",
        given: |f| !f.subnets.is_empty(),
        one: |f| f.subnets = vec!["subnet-1".to_owned()],
        other: |f| f.subnets.clear(),
    },
    Fact {
        option: "--security-group",
        given: |f| !f.security_groups.is_empty(),
        one: |f| f.security_groups = vec!["sg-1".to_owned()],
        other: |f| f.security_groups.clear(),
    },
    Fact {
        option: "--domain",
        given: |f| f.domain.is_some(),
        one: |f| f.domain = Some("one".to_owned()),
        other: |f| f.domain = Some("other".to_owned()),
    },
    Fact {
        option: "--collection",
        given: |f| f.collection.is_some(),
        one: |f| f.collection = Some("one".to_owned()),
        other: |f| f.collection = Some("other".to_owned()),
    },
    Fact {
        option: "--principal",
        given: |f| f.signer.is_some(),
        one: |f| f.signer = Some("arn:aws:iam::123456789012:role/one".to_owned()),
        other: |f| f.signer = Some("arn:aws:iam::123456789012:role/other".to_owned()),
    },
];

/// The view, where it is given.
pub(crate) const VIEW: Fact = Fact {
    option: "--view",
    given: |_| true,
    one: |f| f.view = View::KeysOnly,
    other: |f| f.view = View::NewAndOldImages,
};

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/one";

/// The given options of `facts` that have no effect on `printed`, for any value.
pub(crate) fn without_effect<'f>(
    given: &Facts,
    facts: impl Iterator<Item = &'f Fact>,
    printed: impl Fn(&Facts) -> String,
) -> Vec<&'static str> {
    // Two facts can each make up for the other, as a view of keys alone and --redrive do.
    let plain = Facts { redrive: false, view: View::default(), ..given.clone() };
    let changes = |fact: &Fact, base: &Facts| {
        let (mut one, mut other) = (base.clone(), base.clone());
        (fact.one)(&mut one);
        (fact.other)(&mut other);
        printed(&one) != printed(&other)
    };
    facts
        .filter(|fact| (fact.given)(given) && !changes(fact, given) && !changes(fact, &plain))
        .map(|fact| fact.option)
        .collect()
}

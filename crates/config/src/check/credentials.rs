//! `profile`, `role_arn` and `external_id`, wherever credentials can be named.

use crate::model::AwsSettings;
use crate::problem::Problems;
use crate::read::{Key, Located};

/// Profile, role and external id: its own, else those of `fallback`. An external id goes with its role.
pub(super) fn credentials(keys: [&Key<String>; 3], fallback: &AwsSettings, problems: &mut Problems) -> AwsSettings {
    let [profile, role_arn, external_id] = keys.map(Key::present);
    if let Some(role) = role_arn
        && !(role.starts_with("arn:") && role.contains(":role/"))
    {
        problems.error_with_hint(
            &role.place,
            "this is not the ARN of a role",
            "a role's ARN has the form arn:aws:iam::ACCOUNT:role/NAME",
        );
    }
    let own = |key: Option<&Located<String>>| key.map(|located| located.value.clone());
    let settings = AwsSettings {
        profile: own(profile).or_else(|| fallback.profile.clone()),
        role_arn: own(role_arn).or_else(|| fallback.role_arn.clone()),
        external_id: match role_arn {
            Some(_) => own(external_id),
            None => own(external_id).or_else(|| fallback.external_id.clone()),
        },
    };
    if let (None, Some(external_id)) = (&settings.role_arn, external_id) {
        problems.error_with_hint(&external_id.place, "an external id without a role", "set role_arn too");
    }
    settings
}

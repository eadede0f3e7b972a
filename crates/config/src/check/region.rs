//! Names of AWS regions.

use crate::problem::Problems;
use crate::read::Located;

/// What stands before the number in each of AWS's regions.
const DIRECTIONS: [&str; 9] =
    ["central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"];

/// Refuses what no region of AWS is called. Emulators take any name, so this is for what goes to AWS itself.
pub(super) fn check(region: &Located<String>, problems: &mut Problems) {
    if !is_region(region) {
        let hint = "write it as AWS does, with its hyphens: eu-west-1, us-east-1, us-gov-west-1";
        problems.error_with_hint(&region.place, "this is not an AWS region", hint);
    }
}

/// Whether `text` has the form of an AWS region, such as `eu-west-1` or `us-gov-west-1`. Its existence is not checked.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [area @ .., direction, number] = parts.as_slice() else { return false };
    let is_area = |part: &&str| (2..=5).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase());
    !area.is_empty()
        && area.iter().all(is_area)
        && DIRECTIONS.contains(direction)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_told_from_slips() {
        for good in [
            "eu-west-1",
            "us-east-1",
            "ap-southeast-5",
            "us-gov-west-1",
            "us-isob-east-1",
            "eusc-de-east-1",
            "cn-north-1",
        ] {
            assert!(is_region(good), "{good}");
        }
        for slip in [
            "eu-west1",
            "euwest-1",
            "eu_west_1",
            "eu-west",
            "EU-WEST-1",
            "eu-wset-1",
            "eu-west-1a",
            "",
            "local",
            "west-1",
        ] {
            assert!(!is_region(slip), "{slip}");
        }
    }
}

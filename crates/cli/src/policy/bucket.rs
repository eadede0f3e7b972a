//! The permissions of `replay s3://BUCKET` on the bucket in which Lambda stores failed batches.

use streamdex_config::Config;

use super::document::Statement;
use super::facts::Facts;
use super::grants::Grants;
use super::place::Place;

/// Objects are read, and with `--remove` removed.
const TAKE_OBJECTS: [&str; 2] = ["s3:DeleteObject", "s3:GetObject"];

/// Granted to who uses the state table: the bucket is read with the same credentials.
pub(super) fn grant(grants: &mut Grants, config: &Config, facts: &Facts) {
    let Some(bucket) = &facts.failure_bucket else { return };
    let state = &config.state;
    let place = Place::new(&facts.around, state.region.as_deref(), &state.aws);
    let arn = format!("arn:{}:s3:::{bucket}", place.partition);
    let taken = Statement::new("GivenUp", &TAKE_OBJECTS, format!("{arn}/*")).in_account(&place.account);
    grants.allow(&state.aws, taken);
    let listed = Statement::new("GivenUpBucket", &["s3:ListBucket"], arn).in_account(&place.account);
    grants.allow(&state.aws, listed);
    if let Some(key) = &facts.bucket_key {
        let statement = Statement::new("GivenUpKey", &["kms:Decrypt"], key.clone());
        grants.allow(&state.aws, statement.via(place.via("s3")));
    }
}

//! Fetching the engines before the tests, with a line about each.

use std::time::Instant;

use anyhow::Context;
use streamdex_testkit::engines::{EngineError, Package};

/// Fetches what is not there yet. A missing tool is reported, and its engine's tests are skipped.
pub(crate) fn fetch_all() -> anyhow::Result<()> {
    println!("── engines");
    for package in Package::ALL {
        let label = package.label();
        match package.available() {
            Ok(()) if package.is_fetched() => println!("   {label}: there"),
            Ok(()) => fetch(package).with_context(|| label)?,
            Err(missing @ EngineError::Missing { .. }) => {
                println!("   {missing}: its tests are skipped; {}", missing.hint());
            }
            Err(error) => return Err(error).with_context(|| label),
        }
    }
    Ok(())
}

fn fetch(package: Package) -> Result<(), EngineError> {
    println!("   {}: fetching about {} MB …", package.label(), package.megabytes());
    let begun = Instant::now();
    package.fetch()?;
    println!("   {}: fetched in {} s", package.label(), begun.elapsed().as_secs());
    Ok(())
}

//! Reads from a Linux program what it needs of its machine.

use anyhow::ensure;

const MAGIC: &[u8] = b"\x7fELF\x02\x01";
/// The names of symbol versions are the only texts of this form.
const VERSION: &[u8] = b"GLIBC_2.";

/// The minor version of glibc 2 that a 64-bit little-endian program needs; 0 where it names none.
pub(crate) fn glibc_needed(program: &[u8]) -> anyhow::Result<u32> {
    ensure!(program.starts_with(MAGIC), "this is no 64-bit Linux program");
    let versions = program.windows(VERSION.len()).enumerate().filter(|(_, window)| *window == VERSION);
    let minor = |(place, _): (usize, &[u8])| {
        let digits = program.get(place + VERSION.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
        String::from_utf8(digits.copied().collect()).ok()?.parse().ok()
    };
    Ok(versions.filter_map(minor).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_is_named_is_needed() {
        let program = |text: &str| [MAGIC, text.as_bytes()].concat();
        assert_eq!(glibc_needed(&program("GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0GLIBC_PRIVATE\0")).unwrap(), 34);
        assert_eq!(glibc_needed(&program("")).unwrap(), 0);
        assert!(glibc_needed(b"#!/bin/sh").is_err());
    }
}

//! What a Linux program needs of the machine that runs it, read off the file.

use anyhow::{Context, ensure};

/// What a program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// A dynamic linker; a static program needs none.
    pub(crate) interpreter: bool,
    /// The minor version of glibc 2; 0 where none is named.
    pub(crate) glibc: u32,
}

const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const PROGRAM_HEADER_OFFSET: usize = 32;
const PROGRAM_HEADER_SIZE: usize = 54;
const PROGRAM_HEADER_COUNT: usize = 56;
const INTERPRETER: u32 = 3;
/// The names of symbol versions are the only texts of this form.
const VERSION: &[u8] = b"GLIBC_2.";

/// Reads a 64-bit little-endian program.
pub(crate) fn needs(program: &[u8]) -> anyhow::Result<Needs> {
    ensure!(program.starts_with(MAGIC), "this is no 64-bit Linux program");
    let offset = usize::try_from(u64::from_le_bytes(bytes(program, PROGRAM_HEADER_OFFSET)?))?;
    let size = usize::from(u16::from_le_bytes(bytes(program, PROGRAM_HEADER_SIZE)?));
    let count = usize::from(u16::from_le_bytes(bytes(program, PROGRAM_HEADER_COUNT)?));
    let mut interpreter = false;
    for place in 0..count {
        interpreter |= u32::from_le_bytes(bytes(program, offset + place * size)?) == INTERPRETER;
    }
    let versions = program.windows(VERSION.len()).enumerate().filter(|(_, window)| *window == VERSION);
    let minor = |(place, _): (usize, &[u8])| {
        let digits = program.get(place + VERSION.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
        String::from_utf8(digits.copied().collect()).ok()?.parse().ok()
    };
    Ok(Needs { interpreter, glibc: versions.filter_map(minor).max().unwrap_or(0) })
}

fn bytes<const N: usize>(program: &[u8], offset: usize) -> anyhow::Result<[u8; N]> {
    let slice = program.get(offset..offset.saturating_add(N)).context("the program is cut off")?;
    Ok(slice.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with one program header of this kind, and text after it.
    fn program(kind: u32, text: &str) -> Vec<u8> {
        let mut program = MAGIC.to_vec();
        program.resize(64, 0);
        program[PROGRAM_HEADER_OFFSET] = 64;
        program[PROGRAM_HEADER_SIZE] = 56;
        program[PROGRAM_HEADER_COUNT] = 1;
        program.extend(kind.to_le_bytes());
        program.resize(120, 0);
        program.extend(text.as_bytes());
        program
    }

    #[test]
    fn needs_are_read() {
        let dynamic = program(INTERPRETER, "GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0GLIBC_PRIVATE\0");
        assert_eq!(needs(&dynamic).unwrap(), Needs { interpreter: true, glibc: 34 });
        assert_eq!(needs(&program(1, "")).unwrap(), Needs { interpreter: false, glibc: 0 });
        assert!(needs(b"#!/bin/sh").is_err());
        assert!(needs(&dynamic[..66]).is_err());
    }
}

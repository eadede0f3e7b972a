//! `cargo xtask dist`: the command line tool, packed.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use streamdex_testkit::engines::{target_folder, workspace_folder};
use tar::{Builder, EntryType, Header};

use crate::cross::{self, Architecture, Glibc};
use crate::notices;

pub(crate) const PROGRAM: &str = "streamdex";
/// Debian 10, Ubuntu 18.10, RHEL 8, Amazon Linux 2023 and all that came later.
const LIBRARY: Glibc = Glibc(28);
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
const DOCUMENTS: [&str; 4] = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// What to pack.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One architecture in place of all.
    #[arg(long, value_enum)]
    pub(crate) arch: Option<Architecture>,
}

/// Whether the archives were made.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let architectures = options.arch.map_or_else(|| Architecture::value_variants().to_vec(), |one| vec![one]);
    for architecture in architectures {
        pack(architecture)?;
    }
    Ok(true)
}

fn pack(architecture: Architecture) -> anyhow::Result<()> {
    let built = cross::build("streamdex", PROGRAM, architecture, LIBRARY)?;
    match architecture.command(&built) {
        None => println!("   not started here: there is no qemu-aarch64 (Debian: apt install qemu-user)"),
        Some(command) => says_its_version(command)?,
    }
    let name = format!("{PROGRAM}-{VERSION}-{}", architecture.triple());
    let mut files = vec![(PROGRAM, 0o755, fs::read(&built)?)];
    for document in DOCUMENTS {
        let content = fs::read(workspace_folder().join(document)).with_context(|| format!("reading {document}"))?;
        files.push((document, 0o644, content));
    }
    files.push(("THIRD-PARTY-NOTICES.md", 0o644, notices::TOOL.notices()?));
    let archive = archive(&name, &files)?;
    let folder = target_folder().join("dist");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let path = folder.join(format!("{name}.tar.gz"));
    fs::write(&path, &archive).with_context(|| format!("writing {}", path.display()))?;
    // As `sha256sum --check` reads it.
    let sum = format!("{}  {name}.tar.gz\n", checksum(&archive));
    fs::write(folder.join(format!("{name}.tar.gz.sha256")), &sum).context("writing the checksum")?;
    println!("── {}", path.display());
    println!("   {}", cross::megabytes(u64::try_from(archive.len())?));
    print!("   {sum}");
    Ok(())
}

/// The program starts, and is the one of this version.
pub(crate) fn says_its_version(mut program: Command) -> anyhow::Result<()> {
    let output = program.arg("--version").output().with_context(|| format!("starting {program:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(said.trim() == format!("{PROGRAM} {VERSION}"), "the program does not start: {output:?}");
    Ok(())
}

/// The same files give the same bytes, whenever and wherever they are packed.
fn archive(folder: &str, files: &[(&str, u32, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut builder = Builder::new(gzip);
    for (name, mode, content) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(*mode);
        header.set_size(u64::try_from(content.len())?);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, format!("{folder}/{name}"), content.as_slice())?;
    }
    let mut gzip = builder.into_inner()?;
    gzip.flush()?;
    Ok(gzip.finish()?)
}

fn checksum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_archive_is_reproducible_and_its_program_can_be_run() {
        let files = [("streamdex", 0o755, b"program".to_vec()), ("README.md", 0o644, b"text".to_vec())];
        let packed = archive("streamdex-1", &files).unwrap();
        assert_eq!(packed, archive("streamdex-1", &files).unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let path = entry.path().unwrap().display().to_string();
            found.push((path, entry.header().mode().unwrap(), entry.header().mtime().unwrap(), text));
        }
        let expected = [
            ("streamdex-1/streamdex".to_owned(), 0o755, 0, "program".to_owned()),
            ("streamdex-1/README.md".to_owned(), 0o644, 0, "text".to_owned()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_checksum_is_that_of_sha256sum() {
        assert_eq!(checksum(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

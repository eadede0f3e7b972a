//! `cargo xtask package-lambda`: the function's zip.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use streamdex_config::{Config, ConfigError};
use streamdex_testkit::engines::{target_folder, workspace_folder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::cross::{self, Architecture, Glibc};
use crate::notices;

/// What AWS promises of `provided.al2023`.
const LIBRARY: Glibc = Glibc(34);
const PROGRAM: &str = "bootstrap";
/// The name under which the function looks for its configuration.
const CONFIGURATION: &str = "streamdex.toml";
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];
/// Keys of the configuration that name files.
const FILE_KEYS: [&str; 2] = ["ca_file", "mapping_file"];
/// It names a secret, which whoever may read the function's code could read in the zip.
const SECRET_KEY: &str = "password_file";
/// What Lambda sets. Nothing listens at that address, and it must not come to that.
const SANDBOX: [(&str, &str); 5] = [
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_FUNCTION_NAME", "streamdex"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9"),
    ("LAMBDA_TASK_ROOT", "/nowhere"),
];
const EXECUTABLE: u32 = 0o755;
const READABLE: u32 = 0o644;

/// What to pack.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The function's architecture.
    #[arg(long, value_enum, default_value = "arm64")]
    pub(crate) arch: Architecture,
    /// A configuration to put beside the program, with the files that it names.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A file of the zip.
struct Entry {
    name: String,
    mode: u32,
    content: Vec<u8>,
}

/// Whether the zip was made.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    // Before the minutes that compiling takes.
    let configured = options.config.as_deref().map(configuration).transpose()?.unwrap_or_default();
    let built = cross::build("streamdex-lambda", PROGRAM, options.arch, LIBRARY)?;
    start(options.arch, &built)?;
    let program = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    let bytes = program.len();
    let mut entries = vec![Entry { name: PROGRAM.to_owned(), mode: EXECUTABLE, content: program }];
    let notices = notices::FUNCTION.notices()?;
    entries.push(Entry { name: "THIRD-PARTY-NOTICES.md".to_owned(), mode: READABLE, content: notices });
    for name in LICENCES {
        let content = fs::read(workspace_folder().join(name)).with_context(|| format!("reading {name}"))?;
        entries.push(Entry { name: name.to_owned(), mode: READABLE, content });
    }
    entries.extend(configured);
    let folder = target_folder().join("lambda").join(options.arch.name());
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let path = folder.join("streamdex-lambda.zip");
    let packed = zip(&entries)?;
    let mut file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
    file.write_all(&packed).with_context(|| format!("writing {}", path.display()))?;
    println!("── {}", path.display());
    for entry in &entries {
        println!("   {}", entry.name);
    }
    let size = |bytes: usize| cross::megabytes(u64::try_from(bytes).unwrap_or(u64::MAX));
    println!("   {} packed, the program {}", size(packed.len()), size(bytes));
    Ok(true)
}

/// The program in a zip must start too.
pub(crate) fn start_packed(architecture: Architecture, packed: &Path) -> anyhow::Result<()> {
    let file = File::open(packed).with_context(|| format!("opening {}", packed.display()))?;
    let folder = packed.with_extension("");
    zip::ZipArchive::new(file)?.extract(&folder).with_context(|| format!("unpacking {}", packed.display()))?;
    let program = folder.join(PROGRAM);
    LIBRARY.suffices(&program)?;
    start(architecture, &program)
}

/// The program must start, and say that it has no configuration.
fn start(architecture: Architecture, program: &Path) -> anyhow::Result<()> {
    let Some(mut command) = architecture.command(program) else {
        println!("   not started here: there is no qemu-aarch64 (Debian: apt install qemu-user libc6-arm64-cross)");
        return Ok(());
    };
    let output = command.envs(SANDBOX).output().with_context(|| format!("starting {}", program.display()))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(said.contains("no configuration"), "the program does not start:\n{said}");
    println!("   it starts, and asks for its configuration");
    Ok(())
}

/// The configuration, checked as far as possible here, and the files that it names.
fn configuration(path: &Path) -> anyhow::Result<Vec<Entry>> {
    check(path)?;
    let text = fs::read_to_string(path)?;
    let table = toml::Value::Table(text.parse()?);
    let (mut named, mut secrets) = (Vec::new(), Vec::new());
    named_files(&table, &FILE_KEYS, &mut named);
    named_files(&table, &[SECRET_KEY], &mut secrets);
    ensure!(
        secrets.is_empty(),
        "{}: {SECRET_KEY} would put the password into the zip in plain text; use password_secret, or kind = \"sigv4\"",
        path.display()
    );
    named.sort();
    named.dedup();
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut entries = vec![Entry { name: CONFIGURATION.to_owned(), mode: READABLE, content: text.into_bytes() }];
    for name in named {
        let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            bail!("{}: {name} is not below the configuration's folder, so it would not be in the zip", path.display());
        }
        let content = fs::read(folder.join(&name)).with_context(|| format!("reading {name}, which is named there"))?;
        entries.push(Entry { name, mode: READABLE, content });
    }
    Ok(entries)
}

/// The loader's own check. Variables that are not set here may be set in the function's environment; what depends on
/// their values shows when the function starts.
fn check(path: &Path) -> anyhow::Result<()> {
    let problems = match Config::load(path) {
        Ok(loaded) => {
            for warning in loaded.warnings {
                println!("   warning: {warning}");
            }
            return Ok(());
        }
        Err(ConfigError::Problems(problems)) => problems,
        Err(error) => return Err(error.into()),
    };
    let (unset, wrong): (Vec<_>, Vec<_>) = problems.into_iter().partition(|problem| {
        problem.message.starts_with("the environment variable ") && problem.message.ends_with(" is not set")
    });
    ensure!(wrong.is_empty(), "{}: {}", path.display(), ConfigError::Problems(wrong));
    for problem in unset {
        println!("   {}: {} here; set it in the function's environment", problem.path, problem.message);
    }
    Ok(())
}

/// The files that these keys name, anywhere in the configuration.
fn named_files(value: &toml::Value, keys: &[&str], named: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                match value {
                    toml::Value::String(file) if keys.contains(&key.as_str()) && !file.is_empty() => {
                        named.push(file.clone());
                    }
                    _ => named_files(value, keys, named),
                }
            }
        }
        toml::Value::Array(list) => list.iter().for_each(|value| named_files(value, keys, named)),
        _ => {}
    }
}

/// The same files give the same bytes, whenever and wherever they are packed.
fn zip(entries: &[Entry]) -> anyhow::Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(DateTime::default())
            .unix_permissions(entry.mode);
        writer.start_file(entry.name.as_str(), options)?;
        writer.write_all(&entry.content)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[source]\ntable = '${STREAMDEX_TABLE_OF_NO_TEST}'\n[opensearch]\nurl = 'http://127.0.0.1:9200'\n[[route]]\nindex = 'sessions'\n[index.sessions]\nmapping_file = 'mappings/sessions.json'\n";

    fn names(folder: &Path, text: &str) -> anyhow::Result<Vec<String>> {
        let path = folder.join("any.toml");
        fs::write(&path, text).unwrap();
        Ok(configuration(&path)?.into_iter().map(|entry| entry.name).collect())
    }

    #[test]
    fn a_configuration_brings_its_files_and_may_lack_variables() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("mappings")).unwrap();
        fs::write(folder.path().join("mappings/sessions.json"), "{}").unwrap();
        assert_eq!(names(folder.path(), TEXT).unwrap(), ["streamdex.toml", "mappings/sessions.json"]);
        let wrong = names(folder.path(), &TEXT.replace("table =", "tabel =")).unwrap_err().to_string();
        assert!(wrong.contains("did you mean") && !wrong.contains("is not set"), "{wrong}");
        let auth = "9200'\nauth = { kind = 'basic', username = 'u', password_file = 'password' }\n";
        let secret = names(folder.path(), &TEXT.replace("9200'\n", auth)).unwrap_err().to_string();
        assert!(secret.contains("plain text") && secret.contains("password_secret"), "{secret}");
        let outside = TEXT.replace("mappings/", &format!("{}/mappings/", folder.path().display()));
        assert!(names(folder.path(), &outside).unwrap_err().to_string().contains("would not be in the zip"));
    }

    #[test]
    fn the_zip_is_reproducible_and_its_program_can_be_run() {
        let entries = || [Entry { name: PROGRAM.to_owned(), mode: EXECUTABLE, content: b"program".repeat(99) }];
        let packed = zip(&entries()).unwrap();
        assert_eq!(packed, zip(&entries()).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(packed)).unwrap();
        let entry = archive.by_name(PROGRAM).unwrap();
        assert_eq!((entry.unix_mode().map(|mode| mode & 0o777), entry.size()), (Some(EXECUTABLE), 693));
    }
}

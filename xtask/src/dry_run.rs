//! `cargo xtask dry-run`: what a release builds, and what a user does with it, on this machine alone.
//!
//! What is left out needs Docker, GitHub or a registry: the image, signatures, and the release itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use streamdex_testkit::engines::{target_folder, workspace_folder};

use crate::cross::{Architecture, with_first};
use crate::dist::{self, PROGRAM, VERSION};
use crate::package;
use crate::step::{self, cargo};
use crate::tools::{BINSTALL, CARGO_LAMBDA};

/// What to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Some steps instead of all. To install, archives must be in target/dist: of an earlier run, or of a release.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STEP,…")]
    only: Vec<Step>,
}

/// A part of it, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The packages of the crates
    Crates,
    /// The archives of the command line tool
    Archives,
    /// The zips of the function
    Zips,
    /// A zip of the function by cargo lambda
    CargoLambda,
    /// Installing with cargo binstall
    Binstall,
    /// Installing with the command of README's Install
    Readme,
}

/// Whether every step passed; a step that fails ends the run.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let steps = if options.only.is_empty() { Step::value_variants() } else { &options.only };
    for step in steps {
        println!("── dry run: {step:?}");
        match step {
            Step::Crates => crates(),
            Step::Archives => archives(),
            Step::Zips => zips(),
            Step::CargoLambda => zip_of_cargo_lambda(),
            Step::Binstall => binstall(),
            Step::Readme => line_of_the_readme(),
        }
        .with_context(|| format!("{step:?}"))?;
    }
    println!("── dry run: passed");
    Ok(true)
}

/// As they would go to a registry, out of a clone in which they may be published: each is compiled from what its package holds.
fn crates() -> anyhow::Result<()> {
    let clone = clone_with("clone", |manifest| Ok(manifest.replace("publish = false", "publish = true")))?;
    let mut package = cargo(&["package", "--locked", "--allow-dirty", "--workspace", "--quiet"]);
    for tool in ["streamdex-bench", "streamdex-demo", "streamdex-testkit", "streamdex-tests", "xtask"] {
        package.args(["--exclude", tool]);
    }
    succeeds(package.current_dir(&clone).env("CARGO_TARGET_DIR", target_folder()))
}

fn archives() -> anyhow::Result<()> {
    dist::run(&dist::Options { arch: None }).map(drop)
}

fn zips() -> anyhow::Result<()> {
    for arch in [Architecture::Arm64, Architecture::X86_64] {
        package::run(&package::Options { arch, config: None })?;
    }
    Ok(())
}

/// As docs/deploy-lambda.md says, for this machine, so that it can be started.
fn zip_of_cargo_lambda() -> anyhow::Result<()> {
    let tools = CARGO_LAMBDA.environment()?.join("bin");
    let folder = target_folder().join("lambda/cargo-lambda");
    let mut build = cargo(&["lambda", "build", "--profile", "packaged", "--x86-64", "--locked"]);
    build.args(["--package", "streamdex-lambda", "--output-format", "zip", "--lambda-dir"]).arg(&folder);
    build.env("PATH", with_first(&tools)?);
    succeeds(&mut build)?;
    package::start_packed(Architecture::X86_64, &folder.join("bootstrap/bootstrap.zip"))
}

/// As a user does, with the address of a repository alone: a clone, whose manifest has a local server as its address. That
/// has the archives where a release has them. Without an archive nothing is installed.
fn binstall() -> anyhow::Result<()> {
    let server = FileServer::start()?;
    let clone = clone_with("repository", |manifest| {
        let table: toml::Table = manifest.parse()?;
        let package = table.get("workspace").and_then(|workspace| workspace.get("package"));
        let address = package.and_then(|package| package.get("repository")).and_then(toml::Value::as_str);
        Ok(manifest.replace(address.context("Cargo.toml has no repository")?, &server.url))
    })?;
    let git = |arguments: &[&str]| succeeds(Command::new("git").args(arguments).current_dir(&clone));
    // A tag that was checked out has no branch, and binstall needs one.
    git(&["checkout", "--quiet", "-B", "released"])?;
    let identity = ["-c", "user.name=dry run", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"];
    git(&[identity.as_slice(), &["commit", "--quiet", "--all", "--message", "The address of a local server"]].concat())?;
    let root = dry_folder("binstall");
    step::empty(&root)?;
    let mut install = Command::new(BINSTALL.program()?);
    install.args(["--no-confirm", "--no-track", "--disable-telemetry", "--root"]).arg(&root);
    install.arg("--git").arg(format!("file://{}", clone.display())).arg(PROGRAM);
    install.env("BINSTALL_HTTPS_ROOT_CERTS", &server.authority);
    succeeds(&mut install)?;
    let installed = root.join("bin").join(PROGRAM);
    answers(&installed)?;

    drop(server);
    step::empty(&root)?;
    println!("   without an archive, it installs nothing:");
    let status = install.status().with_context(|| format!("starting {install:?}"))?;
    ensure!(!status.success() && !installed.exists(), "something was installed without an archive");
    Ok(())
}

/// The block of the README that installs a release, with the local server as the address of releases.
fn line_of_the_readme() -> anyhow::Result<()> {
    let server = FileServer::start()?;
    let home = dry_folder("home");
    step::empty(&home)?;
    let readme = fs::read_to_string(workspace_folder().join("README.md")).context("reading README.md")?;
    let line =
        readme.lines().find(|line| line.contains("/releases/download")).context("README.md installs no release")?;
    let (_, from) = line.split_once("https://").context("the line has no address")?;
    let (repository, _) = from.split_once("/releases/").context("the line has no address of releases")?;
    let line = line.replace(&format!("https://{repository}"), &server.url);
    println!("   {line}");
    let mut shell = Command::new("sh");
    shell.args(["-euc", &line]).env("HOME", &home).env("CURL_CA_BUNDLE", &server.authority).current_dir(&home);
    succeeds(&mut shell)?;
    answers(&home.join(".local/bin").join(PROGRAM))
}

/// A file server over the archives, laid out as the downloads of a release. By HTTPS, since binstall takes nothing else.
struct FileServer {
    process: Child,
    url: String,
    /// The certificate to trust.
    authority: PathBuf,
}

impl FileServer {
    fn start() -> anyhow::Result<FileServer> {
        let (folder, certificates) = (dry_folder("server"), dry_folder("certificates"));
        let version = folder.join(format!("releases/download/v{VERSION}"));
        step::empty(&version)?;
        step::empty(&certificates)?;
        for entry in fs::read_dir(target_folder().join("dist")).context("reading target/dist")? {
            let entry = entry?;
            fs::copy(entry.path(), version.join(entry.file_name())).context("copying an archive")?;
        }
        let mut command = Command::new("python3");
        command.arg("-B").arg(workspace_folder().join("xtask/src/file_server.py")).arg(&folder).arg(&certificates);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("starting python3")?;
        let mut server = FileServer { process, url: String::new(), authority: certificates.join("authority.pem") };
        let output = server.process.stdout.take().context("its output")?;
        BufReader::new(output).read_line(&mut server.url)?;
        server.url = server.url.trim().to_owned();
        ensure!(!server.url.is_empty(), "the file server does not start: it needs python3 and openssl");
        Ok(server)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program that was installed is the one of this version.
fn answers(program: &Path) -> anyhow::Result<()> {
    dist::says_its_version(Command::new(program))?;
    println!("   {} starts", program.display());
    Ok(())
}

/// A clone of what is committed, with another manifest of the workspace.
fn clone_with(name: &str, manifest: impl FnOnce(String) -> anyhow::Result<String>) -> anyhow::Result<PathBuf> {
    let clone = dry_folder(name);
    step::empty(&clone)?;
    succeeds(Command::new("git").args(["clone", "--quiet"]).arg(workspace_folder()).arg(&clone))?;
    let path = clone.join("Cargo.toml");
    let text = fs::read_to_string(&path).context("reading the manifest")?;
    fs::write(&path, manifest(text)?).context("writing the manifest")?;
    Ok(clone)
}

fn dry_folder(name: &str) -> PathBuf {
    target_folder().join("dry-run").join(name)
}

fn succeeds(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

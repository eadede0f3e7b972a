//! The functions that are compared, each with its own index.

use std::path::{Path, PathBuf};

use anyhow::Context;
use streamdex_testkit::fault::FaultServer;
use streamdex_testkit::lambda::Function;

use crate::child;
use crate::search::{Bench, config_text};

/// One function.
pub(crate) struct Contender {
    pub(crate) title: &'static str,
    pub(crate) function: Function,
    index: &'static str,
    folder: PathBuf,
    make: Make,
}

/// The function that writes to an OpenSearch URL.
type Make = Box<dyn Fn(&str) -> anyhow::Result<Function>>;

impl Contender {
    /// A contender whose function for an OpenSearch URL is what `make` gives.
    pub(crate) fn new(
        bench: &Bench,
        (title, index): (&'static str, &'static str),
        make: impl Fn(&Path, &str) -> anyhow::Result<Function> + 'static,
    ) -> anyhow::Result<Contender> {
        let folder = bench.folder.join("lambda").join(index);
        std::fs::create_dir_all(&folder)?;
        let at = folder.clone();
        let make = Box::new(move |url: &str| make(&at, url));
        Ok(Contender { title, function: make(&bench.node.url())?, index, folder, make })
    }

    /// streamdex's function.
    pub(crate) fn streamdex(bench: &Bench) -> anyhow::Result<Contender> {
        let program = beside("bootstrap")?;
        Contender::new(bench, ("streamdex", "streamdex"), move |folder, url| configured(&program, folder, url, ""))
    }

    /// streamdex's function before a proxy, whose certificate it trusts where it speaks TLS.
    pub(crate) fn streamdex_behind(
        bench: &Bench,
        (title, index): (&'static str, &'static str),
        proxy: &FaultServer,
        trusted_ca: Option<&str>,
    ) -> anyhow::Result<Contender> {
        let program = beside("bootstrap")?;
        let trusted_ca = trusted_ca.map(str::to_owned);
        let contender = Contender::new(bench, (title, index), move |folder, url| {
            let Some(trusted_ca) = &trusted_ca else { return configured(&program, folder, url, "") };
            let file = folder.join("ca.pem");
            std::fs::write(&file, trusted_ca)?;
            configured(&program, folder, url, &format!("ca_file = {file:?}\n"))
        })?;
        Ok(Contender { function: contender.function_at(&proxy.url())?, ..contender })
    }

    /// A function as it is usually written in Rust.
    pub(crate) fn naive(bench: &Bench) -> anyhow::Result<Contender> {
        let program = beside("naive_handler")?;
        Contender::new(bench, ("typed event, `serde_dynamo`, one bulk (Rust)", "naive"), move |folder, url| {
            Ok(plain(&program, folder, url, "naive"))
        })
    }

    /// The same function before another URL.
    pub(crate) fn function_at(&self, url: &str) -> anyhow::Result<Function> {
        (self.make)(url)
    }

    /// An empty index, set up by streamdex, so that all of them index the same way.
    pub(crate) fn make_index(&self, bench: &Bench) -> anyhow::Result<()> {
        let config = self.folder.join("index.toml");
        std::fs::write(&config, config_text(&bench.node.url(), &bench.table.endpoint_url(), self.index))?;
        child::run(&bench.programs.now, &config, &["index", "apply"], None)?;
        Ok(())
    }
}

/// streamdex's function, with more lines of `[opensearch]`.
fn configured(program: &Path, folder: &Path, url: &str, opensearch: &str) -> anyhow::Result<Function> {
    let name = format!("{}.toml", url.rsplit(':').next().unwrap_or_default());
    let index = folder.file_name().and_then(|name| name.to_str()).context("the folder has the index's name")?;
    // Nothing listens there: with both images in the records, no call to DynamoDB is made.
    let text = config_text(url, "http://127.0.0.1:9", index);
    let text = text.replacen("[opensearch]\n", &format!("[opensearch]\n{opensearch}"), 1);
    let letters = folder.join("letters.ndjson");
    std::fs::write(folder.join(&name), format!("{text}\n[dead_letter]\nkind = \"file\"\npath = {letters:?}\n"))?;
    Ok(Function::new(program, folder).env("STREAMDEX_CONFIG", name))
}

/// A function that learns from its environment where to write.
pub(crate) fn plain(program: &Path, folder: &Path, url: &str, index: &str) -> Function {
    Function::new(program, folder).env("ENDPOINT", url).env("INDEX", format!("{index}-000001"))
}

fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("no path to this program")?.with_file_name(name);
    anyhow::ensure!(path.exists(), "{} is not built: use `cargo xtask bench`", path.display());
    Ok(path)
}

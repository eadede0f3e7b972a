//! A node with the real Security plugin: TLS of a private authority, users, roles, and their mappings.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::error::EngineError;
use super::folders::RunFolder;
use super::health::wait_until_up;
use super::package::Package;
use super::ports::{ReservedPort, SEARCH_PORTS};
use super::{SharedEngine, shared};
use crate::certificate::{CertificateKind, ServedCertificate};
use crate::process::Supervised;

/// The plugin's own configuration, which it copies into its index at the first start.
const CONFIGURATION: &str = "opensearch-security";
/// The plugin says so when it has read its index; before that it answers 503.
const READY: &str = "Node 'secured' initialized";

/// A running node, killed when dropped.
#[derive(Debug)]
pub struct SecuredNode {
    // Before the folder and the ports, as in `SearchNode`.
    _process: Mutex<Supervised>,
    folder: RunFolder,
    http: ReservedPort,
    _transport: ReservedPort,
}

const ROLES_MAPPING: &str =
    "_meta:\n  type: rolesmapping\n  config_version: 2\nall_access:\n  backend_roles: [admin]\n";

impl SecuredNode {
    /// Name and version.
    pub const LABEL: &str = Package::OPENSEARCH_SECURED.label();
    /// Who may do everything, as in the plugin's demo users.
    pub const ADMINISTRATOR: &str = "admin";
    /// That user's password.
    pub const PASSWORD: &str = "admin";

    /// The one that all tests of this process share, started at the first call.
    ///
    /// # Errors
    /// When a tool is missing, the download fails, or the node does not come up; a failure is remembered.
    pub async fn shared() -> Result<Arc<Self>, EngineError> {
        static SHARED: SharedEngine<SecuredNode> = Mutex::new(None);
        shared(&SHARED, Self::start).await
    }

    /// `https://localhost:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.http.number())
    }

    /// The certificate of the node's authority, as PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        settings(&self.folder).join("ca.pem")
    }

    fn start() -> Result<Self, EngineError> {
        let package = Package::OPENSEARCH_SECURED.fetch()?.join("opensearch-2.19.1");
        let folder = RunFolder::create(Package::OPENSEARCH_SECURED.slug())?;
        let (http, transport) = (ReservedPort::reserve(SEARCH_PORTS)?, ReservedPort::reserve(SEARCH_PORTS)?);
        write_settings(&package, &settings(&folder), http.number(), transport.number())
            .map_err(|error| EngineError::io("writing the settings of a node", &error))?;
        let command = command(&package, &folder)?;
        let mut process = Supervised::spawn(command, &folder.path().join("node.log"))
            .map_err(|error| EngineError::io(format!("starting {}", Self::LABEL), &error))?;
        let log = folder.path().join("node.log");
        let is_up = || fs::read_to_string(&log).is_ok_and(|log| log.contains(READY));
        wait_until_up(Self::LABEL, &mut process, is_up)?;
        Ok(Self { _process: Mutex::new(process), folder, http, _transport: transport })
    }
}

fn settings(folder: &RunFolder) -> PathBuf {
    folder.path().join("config")
}

fn write_settings(package: &Path, folder: &Path, http: u16, transport: u16) -> std::io::Result<()> {
    let of_plugin = folder.join(CONFIGURATION);
    fs::create_dir_all(&of_plugin)?;
    for file in fs::read_dir(package.join("plugins/opensearch-security/config"))? {
        let file = file?;
        fs::copy(file.path(), of_plugin.join(file.file_name()))?;
    }
    // The plugin's own one lets everybody do everything with an index of their name.
    fs::write(of_plugin.join("roles_mapping.yml"), ROLES_MAPPING)?;
    fs::copy(package.join("config/log4j2.properties"), folder.join("log4j2.properties"))?;
    let issued = ServedCertificate::issue(CertificateKind::PrivateCa);
    fs::write(folder.join("ca.pem"), issued.trusted_ca())?;
    fs::write(folder.join("node.pem"), issued.chain_pem())?;
    fs::write(folder.join("node.key"), issued.key_pem())?;
    let mut text = format!(
        "cluster.name: secured\nnode.name: secured\nnetwork.host: 127.0.0.1\ndiscovery.type: single-node\n\
         http.port: {http}\ntransport.port: {transport}\n\
         cluster.routing.allocation.disk.threshold_enabled: false\n\
         plugins.security.allow_default_init_securityindex: true\n\
         plugins.security.restapi.roles_enabled: [all_access]\n\
         plugins.security.ssl.http.enabled: true\n\
         plugins.security.ssl.transport.enforce_hostname_verification: false\n"
    );
    for layer in ["http", "transport"] {
        for (name, file) in [("pemcert", "node.pem"), ("pemkey", "node.key"), ("pemtrustedcas", "ca.pem")] {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "plugins.security.ssl.{layer}.{name}_filepath: {file}");
        }
    }
    fs::write(folder.join("opensearch.yml"), text)
}

fn command(package: &Path, folder: &RunFolder) -> Result<Command, EngineError> {
    let jdk = Package::OPENSEARCH_SECURED.jdk()?;
    let temporary = folder.path().join("tmp");
    fs::create_dir_all(&temporary).map_err(|error| EngineError::io("making a folder", &error))?;
    let path = |option: &str, path: &Path| format!("{option}={}", path.display());
    let mut command = Command::new(jdk.java);
    command
        .args(["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.security.manager=allow"])
        // Without the native library the node cannot see that it runs as root, which it would refuse: in a container tests do.
        .args(["-Djna.nosys=true", "-Djna.nounpack=true", "-Djna.boot.library.path=none"])
        .arg(path("-Djava.io.tmpdir", &temporary))
        .arg(path("-Dopensearch.path.home", package))
        .arg(path("-Dopensearch.path.conf", &settings(folder)))
        .arg("-cp")
        .arg(package.join("lib/*"))
        .arg("org.opensearch.bootstrap.OpenSearch")
        .arg(path("-Epath.data", &folder.path().join("data")))
        .arg(path("-Epath.logs", &folder.path().join("logs")));
    Ok(command)
}

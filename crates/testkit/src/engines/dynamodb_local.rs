//! AWS's own emulator, DynamoDB Local.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::EngineError;
use super::folders::RunFolder;
use super::health::{get, wait_until_up};
use super::package::Package;
use super::ports::{DYNAMODB_PORTS, ReservedPort};
use super::{SharedEngine, blocking, shared};
use crate::process::Supervised;

/// A running DynamoDB Local, in memory, killed when dropped.
#[derive(Debug)]
pub struct DynamoDbLocal {
    // Before the folder and the port, as in `SearchNode`.
    process: Mutex<Supervised>,
    _folder: RunFolder,
    port: ReservedPort,
}

impl DynamoDbLocal {
    /// Name and version.
    pub const LABEL: &str = Package::DYNAMODB_LOCAL.label();

    /// Fetches it if need be, starts one and waits until it answers.
    ///
    /// # Errors
    /// When a tool is missing, the download fails, or the process does not come up.
    pub async fn start() -> Result<Self, EngineError> {
        blocking(Self::start_blocking).await
    }

    /// [`DynamoDbLocal::start`] for callers without a runtime.
    ///
    /// # Errors
    /// As [`DynamoDbLocal::start`].
    pub fn start_blocking() -> Result<Self, EngineError> {
        let package = Package::DYNAMODB_LOCAL.fetch()?;
        let folder = RunFolder::create(Package::DYNAMODB_LOCAL.slug())?;
        let port = ReservedPort::reserve(DYNAMODB_PORTS)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let command = command(&package, &folder, port.number())?;
        let mut process = Supervised::spawn(command, &folder.path().join("server.log"))
            .map_err(|error| EngineError::io(format!("starting {}", Self::LABEL), &error))?;
        // Any answer at all: an unsigned GET is a 400.
        wait_until_up(Self::LABEL, &mut process, || get(address, "/").is_some())?;
        Ok(Self { process: Mutex::new(process), _folder: folder, port })
    }

    /// The one that all tests of this process share, started at the first call. Use [`super::unique_name`] for
    /// tables.
    ///
    /// # Errors
    /// As [`DynamoDbLocal::start`]; a failure is remembered.
    pub async fn shared() -> Result<Arc<Self>, EngineError> {
        static SHARED: SharedEngine<DynamoDbLocal> = Mutex::new(None);
        shared(&SHARED, Self::start_blocking).await
    }

    /// `http://127.0.0.1:PORT`, for tables and streams.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// Ends it; everything in it is lost.
    pub fn kill(&self) {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).kill().unwrap();
    }
}

fn command(package: &Path, folder: &RunFolder, port: u16) -> Result<Command, EngineError> {
    let jdk = Package::DYNAMODB_LOCAL.jdk()?;
    let jars = package.join("lib");
    let mut command = Command::new(jdk.java);
    command
        .current_dir(folder.path())
        // A table of 200,000 items and its stream need more than 512 MB: it answers nothing any more then.
        .args(["-Xmx2g", "-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED"])
        .arg(format!("-Djava.io.tmpdir={}", folder.path().display()))
        .arg(format!("-Dsqlite4java.library.path={}", jars.display()))
        .arg("-cp")
        .arg(jars.join("*"))
        .arg("com.amazonaws.services.dynamodbv2.local.main.ServerRunner")
        .args(["-inMemory", "-sharedDb", "-port"])
        .arg(port.to_string());
    Ok(command)
}

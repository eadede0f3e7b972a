//! A stand-in for the services of AWS beside DynamoDB: S3 and Secrets Manager, as the project moto models them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::error::EngineError;
use super::folders::RunFolder;
use super::health::{get, wait_until_up};
use super::package::{ENVIRONMENT, Package};
use super::ports::{DYNAMODB_PORTS, ReservedPort};
use super::{SharedEngine, shared};
use crate::process::Supervised;

/// A running moto, in memory, killed when dropped.
#[derive(Debug)]
pub struct Moto {
    // Before the folder and the port, as in `SearchNode`.
    _process: Supervised,
    _folder: RunFolder,
    port: ReservedPort,
}

impl Moto {
    /// Name and version.
    pub const LABEL: &str = Package::MOTO.label();

    /// The one that all tests of this process share, started at the first call. Use [`super::unique_name`] for buckets
    /// and secrets.
    ///
    /// # Errors
    /// When a tool is missing, the download fails, or the process does not come up.
    pub async fn shared() -> Result<Arc<Self>, EngineError> {
        static SHARED: SharedEngine<Moto> = Mutex::new(None);
        shared(&SHARED, Self::start).await
    }

    /// The Python that has moto, and botocore, which moto is built on. Blocks while they are fetched.
    ///
    /// # Errors
    /// When a tool is missing, or the download fails.
    pub fn python() -> Result<PathBuf, EngineError> {
        Ok(Package::MOTO.fetch()?.join(ENVIRONMENT).join("bin/python"))
    }

    fn start() -> Result<Self, EngineError> {
        let python = Self::python()?;
        let folder = RunFolder::create(Package::MOTO.slug())?;
        let port = ReservedPort::reserve(DYNAMODB_PORTS)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let mut command = Command::new(python);
        command.current_dir(folder.path()).args(["-m", "moto.server", "--host", "127.0.0.1", "--port"]);
        // Short pages of a listing, so that every test asks for more than one.
        command.arg(port.number().to_string()).env("MOTO_S3_DEFAULT_MAX_KEYS", "3");
        let mut process = Supervised::spawn(command, &folder.path().join("server.log"))
            .map_err(|error| EngineError::io(format!("starting {}", Self::LABEL), &error))?;
        wait_until_up(Self::LABEL, &mut process, || get(address, "/moto-api/").is_some())?;
        Ok(Self { _process: process, _folder: folder, port })
    }

    /// `http://127.0.0.1:PORT`, for every service.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }
}

//! OpenSearch in a container.

use std::process::{Command as Blocking, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::cluster::Cluster;

pub(crate) const IMAGE: &str = "opensearchproject/opensearch:3.8.0";
/// A daemon that hangs is none.
const INFO_LIMIT: Duration = Duration::from_secs(4);
const START_LIMIT: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(300);

/// A running container, removed when dropped.
#[derive(Debug)]
pub(crate) struct Container {
    name: String,
    url: String,
}

/// Why there is no container to be had.
pub(crate) async fn obstacle() -> Option<String> {
    let mut info = Command::new("docker");
    info.arg("info").stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match timeout(INFO_LIMIT, info.status()).await {
        Ok(Ok(status)) if status.success() => None,
        Ok(Err(_)) => Some("docker is not installed".to_owned()),
        Ok(Ok(_)) | Err(_) => Some("no Docker daemon answers".to_owned()),
    }
}

// === impl Container ===

impl Container {
    /// Pulls the image if need be, starts a container and waits until it answers.
    pub(crate) async fn start() -> anyhow::Result<Container> {
        if docker(&["image", "inspect", "--format", "ok", IMAGE]).await.is_err() {
            println!("  pulling the image, some 1 GB, once …");
            let begun = Instant::now();
            docker(&["pull", "--quiet", IMAGE]).await?;
            println!("  pulled in {:.0} s", begun.elapsed().as_secs_f64());
        }
        let begun = Instant::now();
        // Named and guarded before it runs, so that no interruption leaves it behind.
        let name = format!("streamdex-demo-{}", std::process::id());
        let mut container = Container { name: name.clone(), url: String::new() };
        let run = ["run", "--detach", "--rm", "--name", &name, "--publish", "127.0.0.1::9200"];
        let settings = ["--env", "discovery.type=single-node", "--env", "DISABLE_SECURITY_PLUGIN=true"];
        let memory = ["--env", "OPENSEARCH_JAVA_OPTS=-Xms1g -Xmx1g", IMAGE];
        docker(&[&run[..], &settings, &memory].concat()).await?;
        let published = docker(&["port", &name, "9200/tcp"]).await?;
        let address = published.lines().next().context("docker tells no port")?;
        container.url = format!("http://{}", address.trim());
        container.wait_until_up().await?;
        println!("  up in {:.1} s", begun.elapsed().as_secs_f64());
        Ok(container)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn wait_until_up(&self) -> anyhow::Result<()> {
        let cluster = Cluster::new(&self.url)?;
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if matches!(cluster.get("/_cluster/health").await, Ok((200, _))) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("the container {} did not answer within {} s", self.name, START_LIMIT.as_secs())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut remove = Blocking::new("docker");
        remove.args(["rm", "--force", &self.name]).stdout(Stdio::null()).stderr(Stdio::null());
        if !remove.status().is_ok_and(|status| status.success()) {
            println!("the container {} could not be removed", self.name);
        }
    }
}

/// The output of a command of docker's.
async fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("docker");
    let output = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.context("starting docker")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("docker {}: {}", arguments.first().copied().unwrap_or_default(), error.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

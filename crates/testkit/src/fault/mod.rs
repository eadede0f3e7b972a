//! A search server that fails on demand: a proxy in front of a real node, or a scripted server without one.
//!
//! ```text
//! sink ──▶ FaultServer ── rules ──▶ node          FaultServer::in_front_of(url)
//! sink ──▶ FaultServer ── rules ──▶ mock          FaultServer::scripted()
//! ```
//! The first rule that matches a request decides what happens to it; without one it goes through. Every request is
//! recorded with its decompressed body. The server runs in real time on its own runtime.

mod bulk;
mod record;
mod reply;
mod rule;
mod serve;
mod state;
mod upstream;

pub use bulk::BulkOperation;
pub use record::Recorded;
pub use reply::{ItemError, Reply};
pub use rule::{Rule, RuleId};

pub use crate::certificate::CertificateKind;

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use self::serve::Control;
use self::state::Shared;
use self::upstream::Upstream;
use crate::certificate::ServedCertificate;
use crate::server_thread::ServerThread;

/// A running fault server; it ends when dropped.
#[derive(Debug)]
pub struct FaultServer {
    shared: Arc<Shared>,
    control: tokio::sync::mpsc::Sender<Control>,
    server: ServerThread,
    certificate: Option<ServedCertificate>,
}

impl FaultServer {
    /// A proxy in front of the node at `upstream`, as `http://127.0.0.1:9201`.
    #[must_use]
    pub fn in_front_of(upstream: &str) -> Self {
        Self::start(Upstream::node(upstream), None)
    }

    /// A proxy that speaks TLS to its clients.
    #[must_use]
    pub fn with_tls(upstream: &str, kind: CertificateKind) -> Self {
        Self::start(Upstream::node(upstream), Some(kind))
    }

    /// A server without a node: it takes every bulk operation, says that it is OpenSearch, and answers 404 to the
    /// rest, unless a rule says otherwise.
    #[must_use]
    pub fn scripted() -> Self {
        Self::start(Upstream::Mock, None)
    }

    fn start(upstream: Upstream, tls: Option<CertificateKind>) -> Self {
        let certificate = tls.map(ServedCertificate::issue);
        let acceptor = certificate.as_ref().map(ServedCertificate::acceptor);
        let shared = Arc::new(Shared::new(upstream));
        let (control, commands) = tokio::sync::mpsc::channel(16);
        let served = Arc::clone(&shared);
        let server = ServerThread::start(|listener| serve::run(listener, commands, served, acceptor))
            .expect("a port for a fault server");
        Self { shared, control, server, certificate }
    }

    /// `http://127.0.0.1:PORT`, or `https://…` with TLS.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.server.address())
    }

    /// The certificate (PEM) that a client is to trust: of an authority, or the server's own where it signed itself.
    ///
    /// # Panics
    /// Without TLS.
    #[must_use]
    pub fn trusted_ca(&self) -> &str {
        self.certificate.as_ref().expect("a server with TLS").trusted_ca()
    }

    /// Adds a rule behind those that are there.
    pub fn add(&self, rule: Rule) -> RuleId {
        let id = RuleId(self.shared.next_rule.fetch_add(1, Ordering::Relaxed));
        self.shared.rules().push((id, rule));
        id
    }

    /// Removes one rule.
    pub fn remove(&self, id: RuleId) {
        self.shared.rules().retain(|(each, _)| *each != id);
    }

    /// Removes all rules.
    pub fn clear_rules(&self) {
        self.shared.rules().clear();
    }

    /// How many requests the rule was applied to.
    #[must_use]
    pub fn hits(&self, id: RuleId) -> u64 {
        self.shared.rules().iter().find(|(each, _)| *each == id).map_or(0, |(_, rule)| rule.hits())
    }

    /// Closes the port and cuts every connection: a connect is refused, as by a node that is down.
    pub fn refuse(&self) {
        self.command(Control::Refuse);
    }

    /// Ends a [`FaultServer::refuse`].
    pub fn accept(&self) {
        self.command(Control::Accept);
    }

    /// Cuts every connection, and goes on accepting new ones.
    pub fn cut_connections(&self) {
        self.command(Control::Cut);
    }

    fn command(&self, control: fn(mpsc::Sender<()>) -> Control) {
        let (done, waiter) = mpsc::channel();
        self.control.try_send(control(done)).expect("a running fault server");
        waiter.recv().expect("a running fault server");
    }

    /// All requests so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.records().all()
    }

    /// The bulk requests so far.
    #[must_use]
    pub fn bulk_requests(&self) -> Vec<Recorded> {
        self.requests().into_iter().filter(Recorded::is_bulk).collect()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.records().clear();
    }

    /// Waits until the requests fulfil `condition`; `false` after `limit` of real time. Not for paused clocks.
    pub async fn wait_until(&self, condition: impl Fn(&[Recorded]) -> bool, limit: Duration) -> bool {
        let mut changed = self.shared.changed.subscribe();
        let fulfilled = async {
            while !condition(&self.requests()) {
                changed.changed().await.expect("a running fault server");
            }
        };
        tokio::time::timeout(limit, fulfilled).await.is_ok()
    }
}

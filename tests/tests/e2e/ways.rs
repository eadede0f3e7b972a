//! What stands between one replica and the services it needs, so that each can be cut off alone.

use streamdex_testkit::fault::FaultServer;

use super::program::Running;
use crate::lab::{CONFIG, Lab};

pub(super) struct Ways {
    pub(super) streams: FaultServer,
    pub(super) state: FaultServer,
    pub(super) search: FaultServer,
}

impl Ways {
    /// For `count` replicas of the lab, whose configuration leads through them from now on.
    pub(super) fn of_replicas(lab: &Lab, count: usize) -> Vec<Ways> {
        let text = lab.read_file(CONFIG);
        let dynamodb = text.lines().find_map(|line| line.strip_prefix("endpoint_url = ")).unwrap().trim_matches('"');
        let ways = (0..count).map(|_| Ways {
            streams: FaultServer::in_front_of(dynamodb),
            state: FaultServer::in_front_of(dynamodb),
            search: FaultServer::in_front_of(lab.node()),
        });
        let ways = ways.collect();
        let text = text
            .replace("[opensearch]\n", "streams_endpoint_url = \"${STREAMS}\"\n[opensearch]\n")
            .replace("[state]\n", "[state]\nendpoint_url = \"${STATE}\"\nregion = \"eu-west-1\"\n")
            .replace(&format!("url = \"{}\"", lab.node()), "url = \"${SEARCH}\"");
        lab.write_file(CONFIG, &text);
        ways
    }

    /// Starts a replica of this name, with more in its environment.
    pub(super) async fn start(&self, lab: &Lab, name: &str, more: &[(&str, &str)]) -> Running {
        let (streams, state, search) = (self.streams.url(), self.state.url(), self.search.url());
        let mut env = vec![("STREAMS", &*streams), ("STATE", &*state), ("SEARCH", &*search), ("HOSTNAME", name)];
        env.extend(more);
        lab.start_with(&["run"], &env).await
    }

    pub(super) fn accept(&self) {
        [&self.streams, &self.state, &self.search].into_iter().for_each(FaultServer::accept);
    }
}

//! `[http]`.

use std::net::SocketAddr;

use crate::model::Http;
use crate::problem::Problems;
use crate::raw::Root;

/// Where `streamdex run` listens.
pub(super) fn http(root: &Root, problems: &mut Problems) -> Http {
    let Some(listen) = root.http.get().and_then(|table| table.listen.present()) else {
        return Http::default();
    };
    let address: Option<SocketAddr> = listen.parse().ok();
    if address.is_none() {
        let hint = "write it as 127.0.0.1:9464, or 0.0.0.0:9464 for every interface";
        problems.error_with_hint(&listen.place, "this is no address with a port", hint);
    }
    Http { listen: address }
}

//! `[http]`.

use std::net::SocketAddr;

use crate::model::Http;
use crate::problem::Problems;
use crate::raw::Root;

/// What is asked of services for each of them has a limit somewhere.
const MOST_AWAITS: u64 = 1_000;

/// Where `streamdex run` listens.
pub(super) fn http(root: &Root, problems: &mut Problems) -> Http {
    let Some(table) = root.http.get() else { return Http::default() };
    let listen = table.listen.present().and_then(|listen| {
        let address: Option<SocketAddr> = listen.parse().ok();
        if address.is_none() {
            let hint = "write it as 127.0.0.1:9464, or 0.0.0.0:9464 for every interface";
            problems.error_with_hint(&listen.place, "this is not an address with a port", hint);
        }
        address
    });
    let await_per_second = table.await_per_second.given().and_then(|given| {
        let number = Some(given.value).filter(|number| (1..=MOST_AWAITS).contains(number));
        if number.is_none() {
            let hint = "write a whole number from 1 to 1000, or remove the key to turn /await off";
            problems.error_with_hint(&given.place, "this is not a number of requests per second", hint);
        }
        number.and_then(|number| u32::try_from(number).ok())
    });
    Http { listen, await_per_second }
}

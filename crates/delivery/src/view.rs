//! Checks whether captured records carry the old images that the routes need. Pure.

use sha2::{Digest, Sha256};
use streamdex_config::{OldImageNeed, needs_old_images};
use streamdex_mapping::{Change, EventName, IndexPattern, Key, Mapper, RecordError, RecordProblem, Route, StreamView};

/// A stream's view type that cannot serve a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stream carries {view}, which cannot serve the route to {index}: {need}", view = .view.name())]
pub struct ViewMismatch {
    /// What the stream carries.
    pub view: StreamView,
    /// The route's index.
    pub index: String,
    /// What the route needs it for.
    pub need: OldImageNeed,
}

/// What the routes of one source need of old images.
#[derive(Debug)]
pub(crate) struct OldImages {
    routes: Vec<Route>,
    /// Whether there is a table with which some route needs them.
    matter: bool,
    /// Whether a document may be in another index than the item's current one.
    move_between_indices: bool,
}

// === impl OldImages ===

impl OldImages {
    pub(crate) fn new(routes: &[Route]) -> OldImages {
        let indices = || routes.iter().map(|route| route.index.text());
        let fixed = routes.iter().all(|route| matches!(route.index, IndexPattern::Fixed(_)));
        OldImages {
            routes: routes.to_vec(),
            matter: routes.iter().any(|route| !needs_old_images(route, &[]).is_empty()),
            move_between_indices: !fixed || indices().zip(indices().skip(1)).any(|(left, right)| left != right),
        }
    }

    /// The first route that cannot be served from the stream of this record, as the record names its view type.
    pub(crate) fn mismatch(&self, change: &Change<'_>) -> Option<ViewMismatch> {
        let view = change.view.filter(|view| self.matter && !view.has_old_image())?;
        let mismatch = |route: &Route| {
            let need = needs_old_images(route, &key_names(change, route)).into_iter().next()?;
            Some(ViewMismatch { view, index: route.index.text().to_owned(), need })
        };
        self.routes.iter().find_map(mismatch)
    }

    /// A record that should carry the old image and does not: where its document is, or whether its item
    /// expired, is not known, so what was left behind would stay for ever. Only for records whose images are
    /// written.
    pub(crate) fn missing(&self, mapper: &Mapper, change: &Change<'_>) -> Option<RecordError> {
        if !self.matter || change.event == EventName::Insert || change.old_image.is_some() {
            return None;
        }
        let is_removed = change.event == EventName::Remove;
        // Written from its new image, it replaces its old document where there is one index alone.
        let is_replaced = || !self.move_between_indices && mapper.known_address(change).is_some();
        let matters = |need: &OldImageNeed| match need {
            OldImageNeed::InferExpiry => is_removed,
            // Only of an expiry, and then the mapper refuses it.
            OldImageNeed::Archive => false,
            _ => is_removed || !is_replaced(),
        };
        let mut needs = self.routes.iter().flat_map(|route| needs_old_images(route, &key_names(change, route)));
        needs.any(|need| matters(&need)).then(|| refusal(change))
    }
}

fn key_names(change: &Change<'_>, route: &Route) -> Vec<String> {
    let keys = Key::from_image(&change.keys).ok();
    let named = keys.iter().flat_map(|keys| keys.attributes().map(|(name, _)| name.to_owned()));
    named.chain(route.id.iter().flatten().cloned()).collect()
}

fn refusal(change: &Change<'_>) -> RecordError {
    let keys = change.canonical_keys();
    let seconds = change.created.map_or(0, |created| created.seconds());
    // The same digest as of any other change without a number: one letter for a key and time is enough.
    let digest = || Box::new(Sha256::digest(format!("{seconds} {keys}")).into());
    RecordError {
        sequence: change.sequence.clone(),
        created: change.created,
        digest: change.sequence.is_none().then(digest),
        keys: Some(keys.into()),
        stream_arn: change.stream_arn.as_deref().map(Box::from),
        reason: RecordProblem::NoOldImage,
    }
}

// === impl ViewMismatch ===

impl ViewMismatch {
    /// What to do, in one sentence.
    pub fn hint(&self) -> &'static str {
        self.need.hint()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use streamdex_config::Config;
    use streamdex_mapping::Trust;

    use crate::capture::{Capture, CaptureError, Capturer};
    use crate::page::Fate;

    const BY_CONDITION: &str = "index = 'i', when = { attribute = 'active', equals = true }";
    const BY_KEY: &str = "index = 'i-{pk}', when = { attribute = 'pk', exists = true }";

    fn read(route: &str, record: &str, trust: Trust) -> Result<Capture, CaptureError> {
        let text = format!(
            "source = {{ table = 'orders' }}\nopensearch = {{ url = 'http://127.0.0.1:9200' }}\nroute = [{{ {route} }}]"
        );
        let config = Config::parse(&text, Path::new(""), &|_| None).unwrap().config;
        let mut capture = Capture::default();
        Capturer::new(&config).read(record, trust, &mut capture).map(|_| capture)
    }

    fn record(event: &str, view: &str, images: &str) -> String {
        format!(
            r#"[{{"eventName":"{event}","dynamodb":{{"ApproximateCreationDateTime":1700000000,{view}{images}
            "Keys":{{"pk":{{"S":"a"}}}},"SequenceNumber":"7"}}}}]"#
        )
    }

    fn named(view: &str) -> String {
        format!(r#""StreamViewType":"{view}","#)
    }

    const NEW: &str = r#""NewImage":{"pk":{"S":"a"},"active":{"BOOL":true}},"#;
    const OTHER: &str = r#""NewImage":{"pk":{"S":"a"},"active":{"BOOL":false}},"#;
    const OLD: &str = r#""OldImage":{"pk":{"S":"a"},"active":{"BOOL":true}},"#;

    #[test]
    fn a_named_view_that_cannot_serve_a_route_is_a_configuration_error() {
        for (view, ok) in
            [("NEW_IMAGE", false), ("KEYS_ONLY", false), ("OLD_IMAGE", true), ("NEW_AND_OLD_IMAGES", true)]
        {
            let insert = record("INSERT", &named(view), NEW);
            let found = read(BY_CONDITION, &insert, Trust::InOrder);
            assert_eq!(found.is_ok(), ok, "{view}");
            assert!(read(BY_KEY, &insert, Trust::InOrder).is_ok(), "{view}");
            let Err(error) = found else { continue };
            let text = error.to_string();
            assert!(text.contains(view) && text.contains("\"active\"") && text.contains("to i:"), "{text}");
            assert!(error.hint().contains("NEW_AND_OLD_IMAGES"), "{}", error.hint());
            // Where the item is read, it is the caller's to decide.
            let read = read(BY_CONDITION, &insert, Trust::ReadItem).unwrap();
            assert_eq!(read.mismatch.unwrap().view.name(), view);
        }
    }

    #[test]
    fn without_a_view_that_is_known_the_images_decide() {
        let archive = "index = 'i', ttl = { attribute = 'x', on_expiry = 'archive', archive_index = 'j' }";
        let infer =
            "index = 'i', ttl = { attribute = 'x', on_expiry = 'archive', archive_index = 'j', infer_expiry = true }";
        let moving = "index = 'i-{active}'";
        // route, event, images: whether it is refused
        let rows = [
            (BY_CONDITION, "INSERT", NEW, false),
            (BY_CONDITION, "MODIFY", NEW, false),
            (BY_CONDITION, "MODIFY", OTHER, true),
            (BY_CONDITION, "REMOVE", "", true),
            (BY_CONDITION, "REMOVE", OLD, false),
            (BY_KEY, "REMOVE", "", false),
            (BY_KEY, "MODIFY", OTHER, false),
            (moving, "MODIFY", NEW, true),
            (moving, "MODIFY", &format!("{NEW}{OLD}"), false),
            (archive, "REMOVE", "", false),
            (infer, "REMOVE", "", true),
            (infer, "MODIFY", NEW, false),
        ];
        for (route, event, images, refused) in rows {
            for view in ["", &named("LATER"), &named("NEW_AND_OLD_IMAGES")] {
                let mut capture = read(route, &record(event, view, images), Trust::InOrder).unwrap();
                let (_, fates) = capture.pages.remove(&0).unwrap().into_parts();
                let found = matches!(fates[0], Fate::Refused { reason: "no_old_image", .. });
                assert_eq!(found, refused, "{route} {event} {view} {images} {fates:?}");
            }
        }
    }
}

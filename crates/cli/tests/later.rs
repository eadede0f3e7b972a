//! Commands of later versions.

use crate::{end, streamdex};

#[test]
fn commands_of_later_versions_say_so() {
    for arguments in [&["await"][..], &["check"], &["init"]] {
        let ended = end(&mut streamdex(arguments));
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.stderr.contains("is not in this version"), "{arguments:?}: {}", ended.stderr);
    }
    let unknown = end(&mut streamdex(&["frobnicate"]));
    assert!(unknown.stderr.contains("unrecognized subcommand"), "{}", unknown.stderr);
}

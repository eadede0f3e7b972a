//! Files as shells and editors on Windows write them.

use streamdex_config::Config;

use crate::support::with;

#[test]
fn byte_order_marks_and_utf_16_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("streamdex.toml");
    let wide =
        |text: &str| -> Vec<u8> { format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let marked = |text: &str| format!("\u{feff}{text}").into_bytes();
    let text = with("[index.app]\nmapping_file = 'app.json'\n").replace('\n', "\r\n");
    let mapping = "{\r\n\"properties\": {}\r\n}";
    for (config, mapping) in [(wide(&text), wide(mapping)), (marked(&text), marked(mapping))] {
        std::fs::write(&path, config).unwrap();
        std::fs::write(folder.path().join("app.json"), mapping).unwrap();
        let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}")).config;
        assert!(config.indices["app"].mapping.is_some());
    }
    std::fs::write(&path, b"[source]\ntable = '\xff'\n").unwrap();
    let error = Config::load(&path).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("UTF-8 or UTF-16"), "{cause}");
}

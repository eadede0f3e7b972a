use streamdex_delivery::letter::{
    DeadLetter, DeadLetterStore, FORMAT, LetterAddress, LetterKey, LetterRole, TableLetters,
};
use streamdex_dynamodb::state::{Making, StateTable};
use streamdex_testkit::emulators::engines;
use streamdex_testkit::engines::unique_name;

fn letter(record: usize, at: u64) -> DeadLetter {
    DeadLetter {
        format: FORMAT,
        key: LetterKey { stream: "2026-11-22T15:01:21.123".into(), record: format!("{record:06}"), ordinal: 1 },
        table: "sessions".into(),
        at,
        created: Some(at),
        keys: Some(r#"{"pk":{"S":"a"}}"#.into()),
        role: LetterRole::Archive,
        address: Some(LetterAddress {
            index: "sessions".into(),
            generation: Some(1),
            id: "a".into(),
            routing: Some("r".into()),
        }),
        version: Some(u64::MAX >> 1),
        reason: "mapper_parsing_exception".into(),
        error: "field [x] of type [long]".into(),
        document: None,
        document_omitted: false,
    }
}

#[tokio::test]
async fn letters_are_stored_once_and_paged() {
    for engine in engines().await {
        let table = StateTable::new(engine.dynamodb.clone(), unique_name("letters"), "default");
        table.create(&Making::default()).await.unwrap();
        let store = TableLetters::new(table);
        let letters: Vec<DeadLetter> = (0..510).map(|record| letter(record, 1)).collect();
        store.put(&letters).await.unwrap();
        let again = letter(7, 2).with_document(b"{\"a\":1}");
        store.put(std::slice::from_ref(&again)).await.unwrap();
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let page = store.list(after.as_ref()).await.unwrap();
            assert!(page.malformed.is_empty());
            listed.extend(page.letters);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed.len(), 510, "{}", engine.name);
        assert_eq!(listed[7], again);
        assert_eq!(listed[8], letters[8]);
        assert_eq!(
            store.get(&again.key).await.unwrap().and_then(|letter| letter.document()).as_deref(),
            Some(&b"{\"a\":1}"[..])
        );
        assert_eq!(store.get(&letter(999_999, 1).key).await.unwrap(), None);
    }
}

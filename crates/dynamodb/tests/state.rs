use streamdex_config::TableArn;
use streamdex_dynamodb::state::{Creation, Extent, StateError, StateTable};
use streamdex_testkit::emulators::engines;
use streamdex_testkit::engines::unique_name;

fn arn(account: &str) -> TableArn {
    TableArn::parse(&format!("arn:aws:dynamodb:eu-west-1:{account}:table/sessions")).unwrap()
}

#[tokio::test]
async fn the_table_is_made_once_and_by_itself_in_an_emulator_alone() {
    for engine in engines().await {
        let table = StateTable::new(engine.dynamodb.clone(), unique_name("state"), "default");
        let on_aws = table.ensure(&arn("123456789012")).await.unwrap_err();
        assert!(matches!(on_aws, StateError::Missing(_)) && on_aws.hint().contains("state create"), "{}", engine.name);
        let load = table.query("follow|default|x", Extent::All).await.unwrap_err();
        assert!(matches!(load, StateError::Missing(_)), "{}: {load}", engine.name);
        assert_eq!(table.ensure(&arn("000000000000")).await.unwrap(), Creation::Created);
        assert_eq!(table.create().await.unwrap(), Creation::Existed);
        let data = engine.table().await;
        let error = StateTable::new(engine.dynamodb.clone(), data, "default").create().await.unwrap_err();
        assert!(matches!(error, StateError::OtherKeys(_)), "{}: {error}", engine.name);
    }
}

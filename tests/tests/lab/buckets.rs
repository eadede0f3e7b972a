//! Buckets and secrets of moto.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use streamdex_testkit::engines::{Moto, REGION, unique_name};

/// A bucket of this test alone.
pub(crate) struct Bucket {
    client: aws_sdk_s3::Client,
    pub(crate) name: String,
}

impl Bucket {
    pub(crate) async fn new(moto: &Moto) -> Bucket {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static(REGION))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(moto.endpoint_url())
            .build();
        let bucket = Bucket { client: aws_sdk_s3::Client::from_conf(config), name: unique_name("given-up") };
        let here = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(REGION));
        let made = bucket.client.create_bucket().bucket(&bucket.name).create_bucket_configuration(here.build());
        made.send().await.unwrap();
        bucket
    }

    pub(crate) async fn put(&self, key: &str, text: &str) {
        let body = text.as_bytes().to_vec().into();
        self.client.put_object().bucket(&self.name).key(key).body(body).send().await.unwrap();
    }

    pub(crate) async fn remove(&self, key: &str) {
        self.client.delete_object().bucket(&self.name).key(key).send().await.unwrap();
    }

    /// All keys, in order.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let page = self.client.list_objects_v2().bucket(&self.name).max_keys(1_000).send().await.unwrap();
        page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect()
    }
}

/// A client for secrets.
pub(crate) fn secrets_client(moto: &Moto) -> aws_sdk_secretsmanager::Client {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(moto.endpoint_url())
        .build();
    aws_sdk_secretsmanager::Client::from_conf(config)
}

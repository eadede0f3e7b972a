//! Follows a DynamoDB stream: shards, checkpoints, item reads, delivery.

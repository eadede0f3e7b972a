//! Keeps an OpenSearch index equal to a DynamoDB table: command line tool.
fn main() {}

//! A shop to try streamdex on: `cargo xtask playground`.
//!
//! A DynamoDB Local with one table of customers, orders and order lines, as a single-table design has them, and an
//! OpenSearch with nothing in it. Both are real, run in memory, and stop at Ctrl-C. docs/getting-started.md continues
//! from here.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for people: its output is what it is for")]

mod fill;
mod shop;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fs};

use anyhow::Context;
use clap::Parser;
use streamdex_testkit::engines::{
    DynamoDbLocal, NodeOptions, SearchEngine, SearchNode, dynamodb_client, target_folder,
};
use tokio::signal::unix::{SignalKind, signal};

/// Starts DynamoDB Local with the table of a shop, and an empty OpenSearch, until Ctrl-C.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask playground")]
struct Options {
    /// How many orders the shop has; a customer for every four, and three items of the table for each
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    orders: u32,
}

const TABLE: &str = "shop";
/// Names another file for what a shell needs, for tests.
const ENV_FILE: &str = "STREAMDEX_PLAYGROUND_ENV";

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(async {
        tokio::select! {
            played = Box::pin(play(&options)) => played,
            stopped = stopped() => stopped,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn play(options: &Options) -> anyhow::Result<()> {
    println!("starting DynamoDB Local and OpenSearch (fetched once, 120 MB)");
    let node = SearchNode::start(SearchEngine::OpenSearch3, NodeOptions::default()).await.context("OpenSearch")?;
    let node = Arc::new(node);
    let dynamodb = DynamoDbLocal::start().await.context("DynamoDB Local")?;
    let client = dynamodb_client(&dynamodb.endpoint_url());
    println!("filling the table {TABLE} with {} orders", options.orders);
    let items = fill::table(&client, TABLE, options.orders).await?;
    let env = env::var_os(ENV_FILE).map_or_else(|| target_folder().join("playground/env"), PathBuf::from);
    let folder = env.parent().context("the file of the environment has no folder")?;
    fs::create_dir_all(folder).context("making the folder of the playground")?;
    fs::write(&env, environment(&dynamodb.endpoint_url(), &node.url())?).context("writing the environment")?;
    println!("the table {TABLE} has {items} items, and its stream is on");
    println!("  DynamoDB    {}", dynamodb.endpoint_url());
    println!("  OpenSearch  {}", node.url());
    println!("in another shell:  . {}", env.display());
    println!("then continue with docs/getting-started.md; Ctrl-C stops everything");
    std::future::pending().await
}

/// What a shell needs: the addresses, credentials that DynamoDB Local takes, and the program that was built.
fn environment(dynamodb: &str, opensearch: &str) -> anyhow::Result<String> {
    let programs = std::env::current_exe().context("finding this program")?;
    let programs = programs.parent().context("finding the folder of this program")?.display();
    Ok(format!(
        "export AWS_ENDPOINT_URL_DYNAMODB={dynamodb}\n\
         export AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n\
         export OPENSEARCH={opensearch}\n\
         export PATH=\"{programs}:$PATH\"\n"
    ))
}

async fn stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt.context("listening for Ctrl-C"),
    }
}

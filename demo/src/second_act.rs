//! The second act: a new generation of the index for a table that is older than its stream, live changes, planted
//! differences, and the proof.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use serde_json::{Value, json};
use streamdex_testkit::workload::{Item, Sessions};
use tokio::time::sleep;

use crate::awkward;
use crate::cluster::Cluster;
use crate::configuration::{self, INDEX, LIVE, SECOND_INDEX, TABLE, shown};
use crate::expected;
use crate::follower::{Follower, Streamdex};
use crate::load::{Load, put};
use crate::verdict::Verdict;

/// What the second act needs of the first.
pub(crate) struct Stage<'a> {
    pub(crate) client: &'a Client,
    pub(crate) cluster: &'a Cluster,
    pub(crate) url: &'a str,
    pub(crate) dynamodb_url: &'a str,
    pub(crate) first: &'a Streamdex,
}

const START: Duration = Duration::from_secs(60);
const FILLED_WITHIN: Duration = Duration::from_secs(60);
const CATCH_UP: Duration = Duration::from_secs(60);
/// Live changes beside the backfill and after it.
const WRITING: Duration = Duration::from_secs(8);
/// Documents of each kind of planted difference.
const PLANTED: usize = 5;
/// Keys of no session of the demo.
const NOBODY: u32 = 900_000;

/// Plays it; the program to go on with, and what differs in the end.
pub(crate) async fn play(stage: &Stage<'_>, load: &mut Load<'_>) -> anyhow::Result<(Streamdex, Verdict)> {
    println!(
        "\n── second act, about two minutes: a table that is older than its stream, and the proof (--short skips it)"
    );
    let (streamdex, mut follower) = stage.begin().await?;
    println!("writing to the table for {} s beside it", WRITING.as_secs());
    load.run(WRITING).await?;
    until_filled(&streamdex, &mut follower).await?;
    // The item that no search engine took has another value now.
    put(stage.client, awkward::corrected()).await?;
    let mut verdict = Verdict::default();
    verdict.compare_index(stage.client, stage.url, SECOND_INDEX, |_| true, CATCH_UP).await;
    let letters = streamdex.output(&["dlq", "list"]).await?;
    println!("\n$ streamdex dlq list   (the item has been corrected)\n{}", letters.trim_end());
    stage.plant().await?;
    println!("\nwaiting: a difference counts only if it remains for 90 s");
    println!("$ streamdex verify --full --repair");
    let begun = Instant::now();
    let verified = streamdex.output(&["verify", "--full", "--repair"]).await?;
    println!("{}", verified.trim_end());
    println!("it took {:.0} s, while the table was followed", begun.elapsed().as_secs_f64());
    verdict.compare_index(stage.client, stage.url, SECOND_INDEX, |_| true, Duration::from_secs(5)).await;
    verdict.expect_no_letter(&streamdex).await?;
    println!("{INDEX} and {LIVE} still point to the first generation: searches follow when you move them");
    follower.stop().await?;
    Ok((streamdex, verdict))
}

async fn until_filled(streamdex: &Streamdex, follower: &mut Follower) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        follower.latest()?;
        let status: Value = serde_json::from_str(&streamdex.output(&["--json", "status"]).await?)?;
        if status.pointer("/tables/0/phase").is_some_and(|phase| phase == "complete") {
            println!("the index now holds the items from before the stream: status says phase = complete");
            return Ok(());
        }
        ensure!(begun.elapsed() < FILLED_WITHIN, "the index was not filled: {status}");
        sleep(Duration::from_millis(200)).await;
    }
}

// === impl Stage ===

impl Stage<'_> {
    /// A stream that is younger than its items, a new group, and a new generation of the index.
    async fn begin(&self) -> anyhow::Result<(Streamdex, Follower)> {
        self.switch_stream(None).await?;
        self.switch_stream(Some(StreamViewType::NewAndOldImages)).await?;
        println!("the table has a new stream, which has none of its items");
        let file = self.first.configuration().with_file_name("second-act.toml");
        fs::write(&file, configuration::second(self.dynamodb_url, self.url)).context("writing the configuration")?;
        println!("configuration: {}, with another group and the next generation of the index", shown(&file));
        let streamdex = Streamdex::beside_this(&file)?;
        let log = file.with_extension("log");
        let mut follower = streamdex.follow(&log)?;
        follower.until_following(START).await?;
        println!("\n$ streamdex run   (its log: {})", shown(&log));
        let filling = follower.until_said("filling the empty index", START).await?;
        println!("  {filling}");
        Ok((streamdex, follower))
    }

    async fn switch_stream(&self, view: Option<StreamViewType>) -> anyhow::Result<()> {
        let stream =
            StreamSpecification::builder().stream_enabled(view.is_some()).set_stream_view_type(view).build()?;
        let update = self.client.update_table().table_name(TABLE).stream_specification(stream);
        update.send().await.context("switching the stream")?;
        Ok(())
    }

    /// Changes the index behind the back of streamdex.
    async fn plant(&self) -> anyhow::Result<()> {
        let found = self.cluster.search(SECOND_INDEX, json!({ "size": 2 * PLANTED })).await?;
        let hits = found.pointer("/hits/hits").and_then(Value::as_array).context("no documents")?;
        let ids: Vec<&str> = hits.iter().filter_map(|hit| hit.get("_id")?.as_str()).collect();
        let (gone, changed) = ids.split_at_checked(PLANTED).context("too few documents")?;
        for id in gone {
            self.cluster.delete_document(SECOND_INDEX, id).await?;
        }
        for id in changed {
            self.cluster.put_document(SECOND_INDEX, id, &json!({ "city": "nowhere" })).await?;
        }
        for number in 0..PLANTED {
            let key: Item = Sessions::key_of(NOBODY + u32::try_from(number)?, 0);
            let document = json!({ "user_id": format!("user-{}", NOBODY), "session_id": "nobody" });
            self.cluster.put_document(SECOND_INDEX, &expected::id(&key), &document).await?;
        }
        println!(
            "\nplanted in the index: {PLANTED} documents deleted, {PLANTED} changed, {PLANTED} added that have no item"
        );
        Ok(())
    }
}

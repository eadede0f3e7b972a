//! `rebuild` where a Lambda function writes what searches see: it is the other reader of the stream, until it is deployed with the
//! new configuration.

use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use opensearch::http::Method;
use serde_json::json;
use streamdex_testkit::event_source::{EmulatedStream, EventSource, Reply, Settings};
use streamdex_testkit::lambda::Sandbox;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::rebuild::{MOVED_WITHIN, NEXT};
use crate::lab::{CONFIG, Lab, Load};

const DEADLINE: Duration = Duration::from_secs(60);

/// A function with an event source mapping over the stream of a lab's table.
struct Deployed {
    stop: oneshot::Sender<()>,
    task: JoinHandle<usize>,
}

impl Deployed {
    /// With this configuration and a mapping that begins at `TRIM_HORIZON`.
    async fn start(lab: &Lab, config: &str) -> Deployed {
        let (stop, mut stopped) = oneshot::channel();
        let function = lab.function_of(config).await;
        let mut sandbox = function.start();
        let mut stream = EmulatedStream::new(&lab.endpoint, &lab.table.stream_arn);
        let mut source = EventSource::new(Settings::default(), 31);
        let task = tokio::spawn(async move {
            loop {
                stream.read_into(&mut source).await;
                while let Some(batch) = source.next_batch() {
                    let reply = reply(&mut sandbox, batch.event()).await;
                    source.answered(&batch, &reply);
                }
                tokio::select! {
                    _ = &mut stopped => return source.acknowledged().len(),
                    () = sleep(Duration::from_millis(200)) => {}
                }
            }
        });
        Deployed { stop, task }
    }

    /// How many records it has acknowledged.
    async fn stop(self) -> usize {
        let _ = self.stop.send(());
        self.task.await.unwrap()
    }
}

async fn reply(sandbox: &mut Sandbox, event: String) -> Reply {
    let invocation = sandbox.invoke(event, DEADLINE).await;
    // It asks for the next one when this one's answer has arrived.
    assert!(sandbox.asked_for_next(DEADLINE).await, "{}", sandbox.log());
    Reply::from(&invocation.answer)
}

impl Lab {
    async fn until_equal_everywhere(&self, what: &str) {
        self.until_equal(what, String::new).await;
        for generation in [1, 2] {
            let index = self.generation(generation);
            let (_, count) = self.ask(Method::Get, &format!("{index}/_count")).await;
            let (_, seen) = self.ask(Method::Get, &format!("{}/_count", self.index)).await;
            assert_eq!(count["count"], seen["count"], "{what}: {index}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_move_and_go_back_where_a_function_writes_what_they_see() {
    let Some(lab) = Lab::on_opensearch(StreamViewType::NewAndOldImages).await else { return };
    lab.create_state_table().await;
    lab.configure_next();
    let earlier = Deployed::start(&lab, CONFIG).await;
    lab.fill(91, 300).await;
    lab.until_equal("by the function", String::new).await;
    let load = Load::start(lab.writer(92).writes_per_second(20));

    let nameless = lab.end_next(&["rebuild", "--yes", "--beside-lambda", "--from", "misspelt"]).await;
    assert!(nameless.status == 2 && nameless.stderr.contains("has no data of a group"), "{}", nameless.stderr);
    let rebuild = ["rebuild", "--yes", "--from", "default", "--beside-lambda"];
    let mut next = lab.start_next(&rebuild).await;
    next.until_logged("searches move", MOVED_WITHIN, |log| log.contains("searches see the next generation")).await;
    assert_eq!(lab.rebuild_status().await["aliases"][&lab.index], json!([lab.generation(2)]));
    let (writer, _) = load.stop().await;
    lab.until_equal_everywhere("both write").await;

    let unknown = lab.end_next(&["rebuild", "--rollback"]).await;
    assert!(unknown.status == 3 && unknown.stderr.contains("--lag"), "{}", unknown.stderr);
    let late = lab.end_next(&["rebuild", "--rollback", "--lag", "4000"]).await;
    assert!(late.status == 3 && late.stderr.contains("4000 s behind"), "{}", late.stderr);
    let back = lab.end_next(&["rebuild", "--rollback", "--lag", "2"]).await;
    assert_eq!(back.status, 0, "{}", back.stderr);
    let load = Load::start(writer);
    assert_eq!(lab.rebuild_status().await["aliases"][&lab.index], json!([lab.generation(1)]));
    assert_eq!(next.stop().await.status, 0);

    let mut next = lab.start_next(&["rebuild", "--again", "--yes", "--beside-lambda"]).await;
    next.until_logged("searches move", MOVED_WITHIN, |log| log.contains("searches see the next generation")).await;
    assert!(earlier.stop().await > 300, "it was the second reader all the time");
    let deployed = Deployed::start(&lab, NEXT).await;
    let (mut writer, _) = load.stop().await;
    lab.until_equal("both write the next generation", || next.stderr()).await;
    assert_eq!(next.stop().await.status, 0);
    writer.write(50).await;
    lab.until_equal("by the function alone", String::new).await;
    assert!(deployed.stop().await > 300, "it has read from the beginning");
    lab.no_letters().await;
}

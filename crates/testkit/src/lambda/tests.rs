use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// What a function's runtime does.
async fn send(api: &RuntimeApi, method: &str, path: &str, body: &str) -> (u16, HeaderMap, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}/2018-06-01/runtime/{path}", api.address()))
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn next(api: &RuntimeApi) -> (String, String) {
    let (status, headers, payload) = send(api, "GET", "invocation/next", "").await;
    assert_eq!(status, 200);
    assert!(headers["lambda-runtime-deadline-ms"].to_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000_000);
    assert!(headers["lambda-runtime-invoked-function-arn"].to_str().unwrap().contains(":function:"));
    (headers["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned(), payload)
}

#[tokio::test]
async fn an_invocation_is_taken_and_answered_once() {
    let api = RuntimeApi::start();
    let function = async {
        let (id, payload) = next(&api).await;
        assert_eq!(payload, "event");
        let first = send(&api, "POST", &format!("invocation/{id}/response"), "done").await;
        let second = send(&api, "POST", &format!("invocation/{id}/error"), "{}").await;
        (id, first.0, second.0)
    };
    let (answer, (id, first, second)) = tokio::join!(api.invoke("event", LONG, LONG), function);
    assert_eq!(answer, Some(Answer::Response("done".to_owned())));
    assert_eq!((first, second, api.late_answers()), (202, 400, vec![id]));
}

#[tokio::test]
async fn errors_of_an_invocation_and_of_the_start_are_told() {
    let api = RuntimeApi::start();
    let error = r#"{"errorType":"Kind","errorMessage":"what happened"}"#;
    let function = async {
        let (id, _) = next(&api).await;
        send(&api, "POST", &format!("invocation/{id}/error"), error).await
    };
    let (answer, _) = tokio::join!(api.invoke("event", LONG, LONG), function);
    let told = FunctionError { kind: "Kind".to_owned(), message: "what happened".to_owned() };
    assert_eq!(answer.unwrap().error(), &told);
    send(&api, "POST", "init/error", error).await;
    assert_eq!(api.init_error(), Some(told));
}

#[tokio::test]
async fn a_deadline_ends_an_invocation() {
    let api = RuntimeApi::start();
    let (answer, (id, _)) = tokio::join!(api.invoke("event", Duration::from_millis(50), LONG), next(&api));
    assert_eq!(answer, Some(Answer::TimedOut));
    assert_eq!(send(&api, "POST", &format!("invocation/{id}/response"), "late").await.0, 400);
    assert_eq!(api.late_answers(), [id]);
}

#[tokio::test]
async fn nobody_may_ask() {
    let api = RuntimeApi::start();
    assert_eq!(api.invoke("event", LONG, Duration::from_millis(20)).await, None);
    assert!(!api.asked_for_next(Duration::from_millis(20)).await);
    let asked = async {
        assert!(api.asked_for_next(LONG).await);
        api.invoke("event", Duration::ZERO, LONG).await
    };
    let (answer, _) = tokio::join!(asked, next(&api));
    assert_eq!(answer, Some(Answer::TimedOut));
}

#[tokio::test]
async fn a_crash_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let function = Function::new(std::path::Path::new("/bin/false"), folder.path());
    let mut sandbox = function.start();
    let invocation = sandbox.invoke("event", LONG).await;
    assert!(matches!(invocation.answer, Answer::Crashed(status) if !status.success()), "{invocation:?}");
    assert!(!sandbox.is_alive());
}

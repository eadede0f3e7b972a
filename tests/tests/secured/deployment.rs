//! A deployment sets up roles and indices: afterwards the function writes and somebody searches, each with its own role.

use opensearch::http::Method;
use serde_json::{Value, json};
use streamdex_testkit::fault::{FaultServer, Reply, Rule};
use streamdex_testkit::lambda::Invocation;

use super::lab::{ADMINISTRATOR, PASSWORD, Secured};
use crate::lab::{CONFIG, Node};
use crate::lambda::function::{AMPLE, wanted_again};

/// Where CloudFormation takes answers, and who is to have which role.
struct Stack {
    answers: FaultServer,
    writer: String,
    searcher: String,
    administrator: String,
}

impl Stack {
    fn new(secured: &Secured) -> Stack {
        let answers = FaultServer::scripted();
        answers.add(Rule::any().answer(Reply::json(200, "")));
        let arn = |name: &str| format!("arn:aws:iam::123456789012:role/{}-{name}", secured.lab.index);
        Stack { answers, writer: arn("writer"), searcher: arn("searcher"), administrator: arn("administrator") }
    }

    /// The function that sets up gets a request, with this configuration.
    async fn invoke(&self, secured: &Secured, config: &str, request: &str, time: std::time::Duration) -> Invocation {
        let event = json!({
            "RequestType": request, "ResponseURL": format!("{}/answer?signed", self.answers.url()),
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/1", "RequestId": "r1",
            "LogicalResourceId": "SetUp", "ResourceType": "Custom::StreamdexSetUp",
            "ResourceProperties": {"ServiceToken": "arn", "Endpoint": "another one is an update"}
        });
        let function = secured.lab.function_of(config).await.env("STREAMDEX_SET_UP", "1");
        let function = function.env("STREAMDEX_WRITER_ARNS", &self.writer);
        let function = function.env("STREAMDEX_SEARCHER_ARNS", &self.searcher);
        let function = function.env("STREAMDEX_ADMINISTRATOR_ARNS", &self.administrator);
        let mut sandbox = function.start();
        sandbox.invoke(event.to_string(), time).await
    }

    /// What CloudFormation was answered last.
    fn answer(&self) -> Value {
        let requests = self.answers.requests();
        let last = requests.last().expect("an answer");
        assert_eq!(
            (last.method.as_str(), last.path.as_str(), last.header("content-type")),
            ("PUT", "/answer?signed", "")
        );
        serde_json::from_slice(&last.body).unwrap()
    }
}

impl Secured {
    /// Another user, who has the IAM role of this ARN, and how that user signs in.
    async fn user_with(&self, name: &str, arn: &str) -> Node {
        let user = format!("{}-{name}", self.lab.index);
        self.make_user(&user, json!({"password": PASSWORD, "backend_roles": [arn]})).await;
        Node::with(self.lab.node(), &self.signed_in_as(&user)).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_sets_up_who_writes_and_who_searches() {
    let Some(secured) = Secured::new().await else { return };
    let lab = &secured.lab;
    lab.create_state_table().await;
    let stack = Stack::new(&secured);
    let done = stack.invoke(&secured, ADMINISTRATOR, "Create", AMPLE).await;
    let answer = stack.answer();
    assert_eq!((answer["Status"].as_str(), answer["RequestId"].as_str()), (Some("SUCCESS"), Some("r1")), "{done:?}");
    assert_eq!(lab.ask(Method::Get, &format!("{}/_count", lab.index)).await.1["count"], 0, "searches find an index");

    // The function writes with its own role, and needs nothing more.
    let writer = secured.user_with("of-function", &stack.writer).await;
    lab.write_file(CONFIG, &lab.read_file(CONFIG).replace(&secured.user, &format!("{}-of-function", lab.index)));
    secured.write_event();
    let mut sandbox = lab.function().await.start();
    let written = sandbox.invoke(lab.read_file("event.json"), AMPLE).await;
    assert_eq!(wanted_again(&written), None, "{}", sandbox.log());
    assert_eq!(writer.ask(Method::Put, "_plugins/_security/api/roles/x", json!({})).await.0, 403);

    let searcher = secured.user_with("of-search", &stack.searcher).await;
    assert_eq!(lab.ask(Method::Post, &format!("{}/_refresh", lab.index)).await.0, 200);
    for alias in [lab.index.clone(), format!("{}-live", lab.index)] {
        let (status, found) = searcher.ask(Method::Get, &format!("{alias}/_search?q=city:cork"), Value::Null).await;
        assert_eq!((status, found["hits"]["total"]["value"].as_u64()), (200, Some(1)), "{found}");
    }
    let document = format!("{}/_doc/x", lab.index);
    assert_eq!(searcher.ask(Method::Put, &document, json!({"a": 1})).await.0, 403);

    // Who administered before still does, and the new one does too.
    let administrator = secured.user_with("of-people", &stack.administrator).await;
    let mapping = "_plugins/_security/api/rolesmapping/all_access";
    let (status, mapping) = administrator.ask(Method::Get, mapping, Value::Null).await;
    let roles = mapping["all_access"]["backend_roles"].as_array().unwrap();
    assert_eq!(
        (status, roles.contains(&json!("admin")), roles.contains(&json!(stack.administrator))),
        (200, true, true)
    );

    // Nobody is to search, and a file that is no configuration keeps no stack from being deleted.
    let nobody = Stack { searcher: String::new(), ..stack };
    lab.write_file("broken.toml", "[[[");
    for (request, config, expected) in [
        ("Update", ADMINISTRATOR, "SUCCESS"),
        ("Update", "broken.toml", "FAILED"),
        ("Delete", "broken.toml", "SUCCESS"),
    ] {
        nobody.invoke(&secured, config, request, AMPLE).await;
        assert_eq!(nobody.answer()["Status"], expected, "{request}: {}", nobody.answer());
    }
    let (status, _) = searcher.ask(Method::Get, &format!("{}/_search", lab.index), Value::Null).await;
    assert_eq!(status, 403);
    assert_eq!(lab.ask(Method::Post, &format!("{}/_refresh", lab.index)).await.0, 200);
    assert_eq!(lab.ask(Method::Get, &format!("{}/_count", lab.index)).await.1["count"], 1, "nothing is taken away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_cannot_set_up_fails_and_says_why() {
    let Some(secured) = Secured::new().await else { return };
    let stack = Stack::new(&secured);
    // This user has no role.
    let time = std::time::Duration::from_secs(30);
    let failed = stack.invoke(&secured, CONFIG, "Create", time).await;
    let answer = stack.answer();
    let reason = answer["Reason"].as_str().unwrap_or_default();
    assert_eq!(answer["Status"], "FAILED", "{failed:?}");
    assert!(reason.contains("403") && reason.contains("must administer the domain"), "{reason}");
    secured.lab.write_file("password", "wrong");
    stack.invoke(&secured, CONFIG, "Create", time).await;
    let answer = stack.answer();
    assert!(answer["Reason"].as_str().unwrap_or_default().contains("401"), "{answer}");
}

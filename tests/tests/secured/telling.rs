//! What is said of a wrong password, a missing right, and an authority that is not trusted.

use serde_json::json;
use streamdex_testkit::fault::FaultServer;
use streamdex_testkit::report::moto;
use streamdex_testkit::workload::Sessions;

use super::lab::Secured;
use crate::lab::CONFIG;
use crate::lab::buckets::secrets_client;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_called_that() {
    let Some(secured) = Secured::new().await else { return };
    let lab = &secured.lab;
    lab.write_file("password", "wrong");
    let refused = lab.end(&["index", "apply"]).await;
    assert_ne!(refused.status, 0);
    assert!(refused.stderr.contains("password"), "{}", refused.stderr);
    for untrue in ["connected", "unknown version", "iam-policy"] {
        assert!(!refused.stderr.contains(untrue), "{}", refused.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_waits_for_the_right_password() {
    let Some(secured) = Secured::new().await else { return };
    let lab = &secured.lab;
    secured.allow(&secured.printed("run").await).await;
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    lab.fill(5, 10).await;
    let password = lab.read_file("password");
    lab.write_file("password", "wrong");
    let mut run = lab.start(&["run"]).await;
    run.until_logged("it names the password", crate::lab::LONG, |log| log.contains("password")).await;
    assert!(!run.stderr().contains("unknown version"), "{}", run.stderr());
    lab.write_file("password", &password);
    lab.until_counted(10, || run.stderr()).await;
    assert_eq!(run.stop().await.status, 0);
}

/// Rotation: the secret is changed while the program runs. Only the right that is printed is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_was_rotated_is_read_again_from_its_secret() {
    let Some(moto) = moto().await else { return };
    let Some(secured) = Secured::new().await else { return };
    let lab = &secured.lab;
    secured.allow(&secured.printed("run").await).await;
    assert_eq!(lab.end(&["state", "create"]).await.status, 0);
    let secrets = secrets_client(&moto);
    let password = lab.read_file("password");
    let whole = |password: &str| json!({"username": secured.user, "password": password}).to_string();
    let made = secrets.create_secret().name(&secured.user).secret_string(whole("wrong")).send().await.unwrap();
    let arn = made.arn.unwrap();
    let file = lab.read_file(CONFIG);
    let by_secret = |arn: &str| {
        let (before, after) = file.split_once("password_file = ").unwrap();
        let (_, rest) = after.split_once(" }").unwrap();
        lab.write_file(CONFIG, &format!("{before}password_secret = \"{arn}\" }}{rest}"));
    };
    let front = FaultServer::in_front_of(&moto.endpoint_url());
    let here = [("AWS_ENDPOINT_URL_SECRETS_MANAGER", front.url())];
    let env = here.each_ref().map(|(name, url)| (*name, url.as_str()));

    by_secret("arn:aws:secretsmanager:eu-west-1:123456789012:secret:no-such-secret-Ab12Cd");
    let unknown = lab.end_with(&["index", "apply"], &env).await;
    assert_eq!(unknown.status, 3, "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("ResourceNotFoundException") && unknown.stderr.contains("password_secret"),
        "{}",
        unknown.stderr
    );
    by_secret(&arn);
    let refused = lab.end_with(&["index", "apply"], &env).await;
    assert!(refused.status == 3 && refused.stderr.contains("password"), "{}", refused.stderr);

    lab.fill(5, 10).await;
    let mut run = lab.start_with(&["run"], &env).await;
    run.until_logged("it names the password", crate::lab::LONG, |log| log.contains("password")).await;
    secrets.put_secret_value().secret_id(&arn).secret_string(whole(&password)).send().await.unwrap();
    lab.until_counted(10, || run.stderr()).await;
    let reads = front.requests();
    assert!(reads.iter().all(|read| read.operation() == Some("GetSecretValue")), "{reads:?}");
    // The user gets another one, and so does the secret.
    let other = format!("{password}-2");
    secrets.put_secret_value().secret_id(&arn).secret_string(&other).send().await.unwrap();
    secured.make_user(&secured.user, json!({"password": other})).await;
    lab.put(Sessions::key_of(77, 0)).await;
    lab.until_counted(11, || run.stderr()).await;
    assert!(front.requests().len() > reads.len(), "{}", run.stderr());
    let log = run.stop().await;
    assert!(log.status == 0 && !log.stderr.contains(&password), "{}", log.stderr);

    let policy = lab.end(&["iam-policy", "--for", "run"]).await;
    assert!(
        policy.stdout.contains("secretsmanager:GetSecretValue") && policy.stdout.contains(&arn),
        "{}",
        policy.stdout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_not_trusted_is_named() {
    let Some(secured) = Secured::new().await else { return };
    let lab = &secured.lab;
    let text: Vec<String> =
        lab.read_file(CONFIG).lines().filter(|line| !line.starts_with("ca_file")).map(str::to_owned).collect();
    lab.write_file(CONFIG, &text.join("\n"));
    let refused = lab.end(&["index", "apply"]).await;
    assert_ne!(refused.status, 0);
    assert!(refused.stderr.contains("ca_file"), "{}", refused.stderr);
}

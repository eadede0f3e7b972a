//! What is said of a wrong password, a missing right, and an authority that is not trusted.

use super::lab::Secured;
use crate::lab::CONFIG;

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

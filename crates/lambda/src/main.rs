//! The binary `bootstrap`, which Lambda starts: reads the configuration, and asks for invocations.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, Runtime, service_fn};
use lambda_runtime_api_client::{PooledClient, body::Body, build_request};
use serde_json::Value;
use streamdex_config::Config;
use streamdex_lambda::body::Bodies;
use streamdex_lambda::deployment::{self, Deployment, People};
use streamdex_lambda::handler::{Handler, Invocation};
use streamdex_lambda::settings::{self, SettingsError};
use streamdex_lambda::{logging, metrics};

const INIT_ERROR: &str = "/2018-06-01/runtime/init/error";
/// What the runtime needs of its environment.
const REQUIRED: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    logging::start(&env);
    if let Some(missing) = REQUIRED.into_iter().find(|name| env(name).is_none()) {
        let hint = "AWS Lambda starts this program; to apply an event by hand, use `streamdex replay`";
        tracing::error!(hint, "{missing} is not set");
        return ExitCode::FAILURE;
    }
    // One thread: a sandbox of the usual size has one processor or less, and compression has its own threads.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start the asynchronous runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let loaded = settings::load(&env);
    match &loaded {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                let (place, line, hint) = (&warning.path, warning.line, &warning.hint);
                tracing::warn!(place, line, hint, "configuration: {}", warning.message);
            }
        }
        Err(error) => tell(error),
    }
    let ended = match (env(deployment::MODE), loaded) {
        (Some(_), loaded) => {
            let config = loaded.map(|loaded| loaded.config).map_err(|error| format!("{error}; {}", error.hint()));
            runtime.block_on(set_up(Deployment::new(config, People::from_env(&env))))
        }
        (None, Ok(loaded)) => {
            runtime.block_on(serve(loaded.config, env("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default()))
        }
        (None, Err(error)) => {
            if let Err(error) = runtime.block_on(report(&error)) {
                tracing::error!("the error cannot be reported to Lambda: {error}");
            }
            return ExitCode::FAILURE;
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the function ends: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Handles one invocation after the other, until Lambda ends the sandbox.
async fn serve(config: Config, function: String) -> Result<(), Error> {
    let handler = Arc::new(Handler::new(config, function, Box::new(metrics::to_stdout)));
    if settings::may_connect_first(&|name| std::env::var(name).ok()) {
        handler.connect().await;
    }
    let bodies = Bodies::default();
    let taken = bodies.clone();
    let service = service_fn(move |event: LambdaEvent<()>| {
        let (handler, bodies) = (Arc::clone(&handler), taken.clone());
        async move {
            let context = event.context;
            let invocation = Invocation { request_id: &context.request_id, deadline: context.deadline };
            Box::pin(handler.handle(bodies.take(&context.request_id), invocation)).await
        }
    });
    Runtime::new(service).layer(bodies).layer(TracingLayer::new()).run().await
}

/// Answers CloudFormation, also where there is no configuration: without an answer it waits.
async fn set_up(deployment: Deployment) -> Result<(), Error> {
    let deployment = Arc::new(deployment);
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let deployment = Arc::clone(&deployment);
        async move {
            let handled = Box::pin(deployment.handle(event.payload, event.context.deadline)).await;
            handled.inspect_err(|error| tracing::error!("{error}"))
        }
    });
    Runtime::new(service).layer(TracingLayer::new()).run().await
}

/// One line for each problem.
fn tell(error: &SettingsError) {
    let hint = error.hint();
    match error {
        SettingsError::Config { place: file, source } if !source.problems().is_empty() => {
            for problem in source.problems() {
                tracing::error!(file, hint, "configuration: {problem}");
            }
        }
        error => tracing::error!(hint, "{error}"),
    }
}

/// Tells Lambda why the sandbox cannot work, so that the caller of the function sees it too.
async fn report(error: &SettingsError) -> Result<(), Error> {
    let diagnostic = Diagnostic {
        error_type: "Streamdex.Configuration".to_owned(),
        error_message: format!("{error} (hint: {})", error.hint()),
    };
    let request = build_request()
        .method("POST")
        .uri(INIT_ERROR)
        .header("lambda-runtime-function-error-type", "Streamdex.Configuration")
        .body(Body::from(serde_json::to_vec(&diagnostic)?))?;
    PooledClient::builder().build().call(request).await?;
    Ok(())
}

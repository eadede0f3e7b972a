//! AWS Lambda without AWS: the Runtime API that a function asks for its invocations, and a sandbox around the real
//! program.
//!
//! ```text
//! test ── invoke ──▶ RuntimeApi ◀── next, response, error ── program      Sandbox: both, and freeze, thaw and kill
//! ```
//! As in the service a sandbox has one invocation at a time, more at once are more sandboxes; it is frozen only when
//! it has asked for its next invocation, and killed when it has not answered by the deadline.

mod answer;
mod runtime_api;
mod sandbox;
mod serve;
mod state;

pub use answer::{Answer, FunctionError};
pub use runtime_api::{RuntimeApi, TakenInvocation};
pub use sandbox::{Function, Invocation, Sandbox};

#[cfg(test)]
mod tests;

//! The poller against real engines: DynamoDB Local and dynoxide.

mod engine;
mod equal_forms;
mod follow;
mod items;
mod letters;
mod state;
mod stream;

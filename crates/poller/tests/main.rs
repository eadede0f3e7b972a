//! The poller against real engines: DynamoDB Local and dynoxide.

mod engine;
mod follow;
mod items;
mod letters;
mod state;
mod stream;

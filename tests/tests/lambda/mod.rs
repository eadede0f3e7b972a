//! The real Lambda function, as a child process of a Runtime API, between real engines that are broken on purpose.

mod deadline;
mod forms;
mod freeze;
pub(crate) mod function;
mod letters;
mod model;
mod order;
mod pressure;
mod redrive;
mod size;
mod start;
mod stream;
mod switched;
mod telling;
mod vanished;
mod views;

//! What the program asks for, read off its own traffic, is what `iam-policy` grants: no less and no more.

mod commands;
mod function;
mod granted;
mod recorded;

//! The real program, as a child process, between real engines that are broken on purpose. The check is always the
//! same: index equals table.

mod backfill;
mod beside_lambda;
mod brake;
mod check;
mod crash;
mod explain;
mod getting_started;
mod init;
mod letters;
mod objects;
mod outage;
mod page;
mod pressure;
pub(crate) mod program;
mod rebuild;
mod replay;
mod replicas;
mod resnapshot;
mod scrub;
mod services;
mod shapes;
mod sick;
mod switched;
mod vanished;
mod verify;
mod views;
mod waiting;
mod ways;

//! A table of as many items as a measurement wants, and an index that equals it, over loopback HTTP. Neither holds anything:
//! item and document of a number are made when they are asked for.
//!
//! ```text
//! program ──▶ ServedTable: DescribeTable, Scan, BatchGetItem
//!         └─▶ ServedIndex: _mget, points in time ── the rest ─▶ node
//! ```
//! A page of a Scan ends at 1 MB, as the service's does, and each answer takes a latency that the measurement states.

mod index;
mod numbered;
mod table;

pub use self::index::ServedIndex;
pub use self::numbered::Bodies;
pub use self::table::ServedTable;

//! One round trip through every engine, and through every way of breaking one.
mod engines;

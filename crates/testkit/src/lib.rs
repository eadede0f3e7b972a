//! Real engines, fault injection and generators for the tests of streamdex.

//! A finding about an index, and its remedy.

use std::fmt;

use serde::Serialize;

/// One thing to know about an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is, for programs.
    pub code: Code,
    /// What it is, for people.
    pub message: String,
    /// What to do, in one sentence.
    pub hint: &'static str,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Code {
    /// The first text like a date makes the field a date, and later texts are refused.
    DateDetection,
    /// Whole numbers become `long`, which refuses 38 digits and later decimals.
    DynamicIntegers,
    /// Decimals become `float`, which has 24 bits.
    DynamicDecimals,
    /// Fields of a type that keeps few digits.
    FloatFields,
    /// One value that does not fit refuses the whole document.
    IgnoreMalformedOff,
    /// Deletes are remembered for less than an hour.
    GcDeletes,
    /// Items can nest deeper than the index allows.
    DepthLimit,
    /// Unknown attributes are refused.
    StrictDynamic,
    /// A TTL attribute is no date in seconds.
    TtlNotDate,
    /// A key, routing or `when` attribute cannot be looked up whole.
    NotKeyword,
    /// Documents are not kept as they were sent.
    SourceChanged,
    /// An ingest pipeline changes documents.
    Pipeline,
    /// Routing is required, and some route has none.
    RoutingRequired,
    /// Writes are blocked.
    Blocked,
    /// Segment replication forgets deletes at each relocation.
    SegmentReplication,
    /// There is no `_meta.streamdex`.
    NotOurs,
    /// An alias of this name points to another index.
    AliasElsewhere,
    /// The live alias has another filter.
    LiveAliasFilter,
    /// A setting differs from the configuration.
    SettingDiffers,
    /// A field's type differs from the configuration.
    FieldDiffers,
    /// A template of the user's takes the place of streamdex's.
    OtherTemplate,
    /// Which template applies is not known.
    TemplatesUnknown,
    /// Made for a table in another account or region.
    OtherTableArn,
    /// Made for an earlier table of the same name.
    OtherTableId,
    /// Made under other routes.
    OtherRoutes,
    /// The key attributes are not known yet.
    KeysUnknown,
    /// Documents hold values that do not fit their fields.
    IgnoredValues,
    /// Several documents have one id.
    DoubledIds,
    /// The engine does not keep external versions.
    ExternalVersions,
}

// === impl Finding ===

impl Finding {
    /// A finding.
    pub fn new(code: Code, message: impl Into<String>, hint: &'static str) -> Finding {
        Finding { code, message: message.into(), hint }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.hint)
    }
}

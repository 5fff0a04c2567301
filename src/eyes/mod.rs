//! Continuous watching, one file per outside system. Streams that never end and never err.

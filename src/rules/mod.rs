//! Snapshot in, Findings out: one rule, one file. No I/O, no clock.

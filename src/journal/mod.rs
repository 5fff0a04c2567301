//! What was done: append-only, on disk before the hand moves.

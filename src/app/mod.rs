//! Event in, Effects out: values only, synchronous and replayable.

//! Settings: file < environment < flags, what was discovered from the cluster, each value with where it came from.

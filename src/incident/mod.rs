//! Findings in, Incidents out: causal links, root ranking, what changed before the onset.

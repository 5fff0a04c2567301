//! Reads on demand: logs, describe, SQL, HTTP. They change nothing.

//! Alertmanager's configuration as a value: read, judged, edited, shown without its secrets. Pure: where it is
//! kept and who loads it is for others.

mod edit;
pub mod matcher;
mod redact;
mod routing;
pub mod splice;
mod validate;

pub use edit::{Edited, edited};
pub use redact::redacted;
pub use routing::{GroupKey, Grouping, Inhibition, Routing};
pub use validate::{duration, read, written};

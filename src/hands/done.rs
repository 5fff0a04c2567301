//! What came of an action, whatever the system.

use crate::guard::{Preview, Refusal, Undo};
use crate::journal::Ending;
use crate::probes::trouble::Trouble;

/// What came of an action, before it is dated.
pub(super) struct Done {
    pub(super) ending: Ending,
    pub(super) undo: Option<Undo>,
}

impl Done {
    pub(super) fn performed(says: impl Into<String>, undo: Option<Undo>) -> Self {
        Self { ending: Ending::Performed(says.into()), undo }
    }

    pub(super) fn unverified(says: impl Into<String>, undo: Option<Undo>) -> Self {
        Self { ending: Ending::Unverified(says.into()), undo }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { ending: Ending::Refused(refusal, None), undo: None }
    }

    pub(super) fn moved(refusal: Refusal, fresh: Option<Preview>) -> Self {
        Self { ending: Ending::Refused(refusal, fresh.map(Box::new)), undo: None }
    }

    pub(super) fn failed(trouble: &Trouble) -> Self {
        Self { ending: Ending::Failed(trouble.to_string()), undo: None }
    }

    pub(super) fn failed_with(says: impl Into<String>) -> Self {
        Self { ending: Ending::Failed(says.into()), undo: None }
    }

    pub(super) fn unknown(says: impl Into<String>) -> Self {
        Self { ending: Ending::Unknown(says.into()), undo: None }
    }
}

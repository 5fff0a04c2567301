//! The verbs of the team's scripts.

use super::ParamKind::{Name, Pairs};
use super::{Verb, destroys, may, must};
use crate::domain::System::Scripts;

pub(super) static VERBS: &[Verb] =
    &[destroys("run-script", &[must("script", Name), may("with", Pairs)]).on(Scripts)];

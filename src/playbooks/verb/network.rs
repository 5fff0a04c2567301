//! The verbs of the network.

use super::ParamKind::{Count, Url};
use super::{Verb, may, must, reads};
use crate::domain::System::Network;

pub(super) static VERBS: &[Verb] =
    &[reads("http-probe", &[must("url", Url), may("times", Count)]).on(Network)];

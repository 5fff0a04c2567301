//! Capacity of Aurora Serverless.

use serde::{Deserialize, Serialize};

/// Aurora capacity units, counted in halves: the API takes steps of 0.5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Acu(u32);

impl Acu {
    pub fn value(self) -> f64 {
        f64::from(self.0) / 2.0
    }
}

impl TryFrom<f64> for Acu {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        let halves = value * 2.0;
        // 256 ACUs is the most there is (RDS API, ServerlessV2ScalingConfiguration).
        if (0.0..=512.0).contains(&halves) && halves.fract() == 0.0 {
            Ok(Acu(halves as u32))
        } else {
            Err(format!("{value} is no number of ACUs: 0 to 256 in steps of 0.5"))
        }
    }
}

impl From<Acu> for f64 {
    fn from(acu: Acu) -> f64 {
        acu.value()
    }
}

impl std::fmt::Display for Acu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.value())
    }
}

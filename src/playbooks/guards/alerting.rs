//! What speaks against making alerts quieter, or against changing what is not kept where it can be changed.

use super::{Case, Standing};

/// What whoever looked for it said.
pub(super) fn kept(case: &Case<'_>, unkept: &str) -> Standing {
    case.values.get(unkept).map_or(Standing::Fine, |why| Standing::Blocked(why.clone()))
}

/// By the rule's own severity where it was read, else by that of the alert.
pub(super) fn critical(case: &Case<'_>) -> Standing {
    let severity = case.values.get("rule_severity").or_else(|| case.values.get("noisy_severity"));
    let alert = case.values.get("noisy_alert").map_or("it", String::as_str);
    match severity.map(String::as_str) {
        Some("critical" | "page" | "emergency") => Standing::NotAdvised(format!(
            "{alert} is critical: find what makes it fire, don't make it quieter"
        )),
        _ => Standing::Fine,
    }
}

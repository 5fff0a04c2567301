//! Reasons in few words.

/// Whether two say the same: a condition is told by the rule, and again by whoever described the object.
pub(super) fn tell_the_same(one: &str, other: &str) -> bool {
    const TELLING: std::ops::Range<usize> = 20..60;
    let begins = |words: &str, all: &str| {
        let beginning: String = words.chars().take(TELLING.end).collect();
        beginning.chars().count() >= TELLING.start && all.contains(&beginning)
    };
    one == other || begins(one, other) || begins(other, one)
}

/// Long words of others keep their beginning and their end, where the point mostly is.
pub(super) fn short(says: &str) -> String {
    const LONGEST: usize = 140;
    const BEGINNING: usize = 50;
    let count = says.chars().count();
    if count <= LONGEST {
        return says.to_owned();
    }
    let beginning: String = says.chars().take(BEGINNING).collect();
    let end: String = says.chars().skip(count - (LONGEST - BEGINNING)).collect();
    format!("{} … {}", beginning.trim_end(), end.trim_start())
}

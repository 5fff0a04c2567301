//! The product's own playbooks: complete, free of complaints, and readable.

use covet_tui::playbooks::{self, Library};

const OWN: &str = include_str!("../../../playbooks.toml");

#[test]
fn the_products_own_playbooks_have_no_complaints() {
    let lints: Vec<String> = playbooks::lint("playbooks.toml", OWN).iter().map(ToString::to_string).collect();
    assert!(lints.is_empty(), "{}", lints.join("\n"));
    assert_eq!(Library::built_in().iter().count(), playbooks::RULES.len());
}

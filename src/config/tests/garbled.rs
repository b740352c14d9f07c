//! Whatever a file holds, it is read or refused with a place inside of it.

use super::configured::BOUNDED;
use super::*;
use proptest::prelude::*;

const SHOP: &str = include_str!("shop.yaml");

/// Reads a text as everything that is read, and draws what is said.
fn survive(text: &str) {
    let policy = loaded(CONFIG, &[("shop.yaml", text), ("shop.cases.yaml", text)]);
    for broken in &policy.broken {
        assert!(!broken.diagnostics.is_empty());
        assert!(!broken.diagnostics.render(false).is_empty() && !broken.diagnostics.render(true).is_empty());
        assert!(broken.diagnostics.iter().all(|d| text.get(d.span.clone()).is_some()));
    }
    if let Err(errors) = read(text) {
        assert!(!errors.is_empty() && !errors.render(false).is_empty());
    }
}

#[test]
fn every_truncation() {
    for (at, _) in SHOP.char_indices() {
        survive(&SHOP[..at]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_replacement(at in 0..SHOP.len(), length in 0usize..40, with in "[\\PC\n\t{}\\[\\]:,&*'\"#!|>-]{0,12}") {
        let clamp = |at: usize| (0..=at.min(SHOP.len())).rev().find(|at| SHOP.is_char_boundary(*at)).unwrap_or(0);
        let (start, end) = (clamp(at), clamp(at + length));
        survive(&format!("{}{with}{}", &SHOP[..start], &SHOP[end..]));
    }

    #[test]
    fn any_replacement_in_a_configuration(at in 0..BOUNDED.len(), length in 0usize..40, with in "[a-z0-9\n\t{}\\[\\]:,&*'\"#!|>-]{0,12}") {
        let end = (at + length).min(BOUNDED.len());
        survive(&format!("{}{with}{}", &BOUNDED[..at], &BOUNDED[end..]));
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        survive(&text);
    }
}

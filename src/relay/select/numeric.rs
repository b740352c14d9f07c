//! `numeric: largest | smallest`: decimal numbers, compared exactly at any length.
//!
//! A number is `-12.5`: no exponent, because `5e2` as a tag is the beginning of a commit and not five hundred, and no
//! hexadecimal. A text that is no number is no candidate; it does not stop the others.

use super::order::{Key, Unranked};
use super::version::Number;
use crate::model::policy::Extreme;
use std::cmp::{Ordering, Reverse};

/// A decimal number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    whole: Number,
    /// The digits after the point, without the noughts at their end.
    fraction: Box<str>,
}

impl Decimal {
    /// Parses `[-]digits[.digits]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').map_or((digits, "0"), |parts| parts);
        let whole = Number::parse(whole)?;
        if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let fraction: Box<str> = fraction.trim_end_matches('0').into();
        let nought = whole == Number::ZERO && fraction.is_empty();
        Some(Self { negative: negative && !nought, whole, fraction })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = || self.whole.cmp(&other.whole).then_with(|| self.fraction.cmp(&other.fraction));
        match (self.negative, other.negative) {
            (false, false) => size(),
            (true, true) => size().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

/// The key of a text, when it is a number.
pub(super) fn key(extreme: Extreme, text: &str) -> Result<Key<'static>, Unranked> {
    let number = Decimal::parse(text).ok_or(Unranked::NoNumber)?;
    Ok(match extreme {
        Extreme::Largest => Key::Number(number),
        Extreme::Smallest => Key::SmallestNumber(Reverse(number)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let ascending =
            ["-10", "-9.5", "-9.25", "-0.1", "0", "0.05", "0.5", "1", "1.5", "9007199254740992", "9007199254740993"];
        for pair in ascending.windows(2) {
            assert!(Decimal::parse(pair[0]) < Decimal::parse(pair[1]), "{pair:?}");
        }
        let longest = format!("{}.{}", "9".repeat(40), "9".repeat(40));
        assert!(Decimal::parse(&longest) < Decimal::parse(&format!("1{}", "0".repeat(40))));
        for (a, b) in [("-0", "0.0"), ("007", "7"), ("1.50", "1.5")] {
            assert_eq!(Decimal::parse(a), Decimal::parse(b), "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in ["", "-", "1a", "5e2", "0x10", ".5", "5.", "1.2.3", "+1", "1 ", "--1", "1.-2"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }
}

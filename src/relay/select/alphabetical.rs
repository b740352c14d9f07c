//! `alphabetical: last | first`: byte order, as `sort` in the C locale has it. Numbers in the text mean nothing.

use super::order::Key;
use crate::model::policy::Extreme;
use std::borrow::Cow;
use std::cmp::Reverse;

/// The key of a text; every text has one.
pub(super) fn key(extreme: Extreme, text: Cow<'_, str>) -> Key<'_> {
    match extreme {
        Extreme::Largest => Key::Text(text),
        Extreme::Smallest => Key::FirstText(Reverse(text)),
    }
}

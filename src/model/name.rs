//! The names that people give: of policies, environments and images.

use std::fmt;
use std::sync::Arc;

/// The longest name: it stands in branches, tags, metrics and pages.
const NAME_BYTES_MAX: usize = 63;

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no {1} name: {2}")]
pub struct NameError(String, &'static str, &'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $extra:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// When the text is empty, longer than 63 bytes, or has another character than the message lists.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
                let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || $extra.contains(&b);
                let bytes = text.as_bytes();
                if ends(bytes.first()) && ends(bytes.last()) && bytes.len() <= NAME_BYTES_MAX && bytes.iter().all(|b| inner(*b)) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError(super::text::shown(text), $what, $rule))
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a policy, unique over all policies.
    PolicyName, "policy", b"-", "lower-case letters, digits and `-`, at most 63, starting and ending with a letter or digit"
);
name!(
    /// The name of an environment inside its policy.
    EnvironmentName, "environment", b"-", "lower-case letters, digits and `-`, at most 63, starting and ending with a letter or digit"
);
name!(
    /// The name of an image inside its policy.
    ImageName, "image", b"-._", "lower-case letters, digits, `-`, `.` and `_`, at most 63, starting and ending with a letter or digit"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(PolicyName::parse("shop-2").map(|n| n.to_string()), Ok("shop-2".to_owned()));
        assert!(ImageName::parse("shop_worker.v2").is_ok());
        for wrong in ["", "-a", "a-", "A", "a/b", "a b", "a\nb", &"a".repeat(64)] {
            assert!(EnvironmentName::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

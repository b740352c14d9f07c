//! The path language: `spec.containers[name=web].image`, `hosts[0]`, `annotations.example\.com/tag`.
//!
//! Steps are keys joined by dots, `[0]` for an item by position, `[key=value]` for the item with that key. A backslash
//! takes the next character as it is. It only parses and prints; `locate` walks.

use std::fmt;

/// More steps than any hand-written path has; it bounds how often a dotted key is tried.
const STEPS_MAX: usize = 32;
/// The longest path text.
const PATH_BYTES_MAX: usize = 1024;

/// A text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no path: {why} (keys joined by dots, `\\.` for a dot inside a key, `[0]`, `[name=web]`)")]
pub struct PathError {
    text: String,
    why: &'static str,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The value of this key.
    Key(String),
    /// The item at this position.
    Index(usize),
    /// The item whose key has this value.
    Select {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

/// Where in a document a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct YamlPath(Vec<Step>);

impl YamlPath {
    /// Parses a path.
    ///
    /// # Errors
    /// When the text is empty, has an empty key, an unclosed or unknown bracket, or is past a limit.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let refuse = |why| Err(PathError { text: crate::model::text::shown(text), why });
        if text.len() > PATH_BYTES_MAX {
            return refuse("it is longer than 1024 bytes");
        }
        let mut steps = Vec::new();
        let mut chars = text.chars().peekable();
        while chars.peek().is_some() {
            let step = if chars.next_if_eq(&'[').is_some() {
                bracket(&mut chars)
            } else {
                if !steps.is_empty() && chars.next_if_eq(&'.').is_none() {
                    return refuse("a dot is missing after `]`");
                }
                match word(&mut chars, &['.', '[']) {
                    Some(key) if !key.is_empty() => Ok(Step::Key(key)),
                    Some(_) => Err("a key is empty"),
                    None => Err("it ends in a backslash"),
                }
            };
            match step {
                Ok(step) => steps.push(step),
                Err(why) => return refuse(why),
            }
        }
        match steps.len() {
            0 => refuse("it is empty"),
            1..=STEPS_MAX => Ok(Self(steps)),
            _ => refuse("it has more than 32 steps"),
        }
    }

    /// A path of these steps.
    pub(super) fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self(steps.into_iter().collect())
    }

    /// Its steps.
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// Reads up to one of these characters, which stays; none when a backslash ends the text.
fn word(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, until: &[char]) -> Option<String> {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| !until.contains(c)) {
        word.push(if c == '\\' { chars.next()? } else { c });
    }
    Some(word)
}

/// What stands after `[`, up to and with `]`.
fn bracket(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Step, &'static str> {
    let unclosed = "a `[` is not closed";
    let left = word(chars, &['=', ']']).ok_or(unclosed)?;
    let step = if chars.next_if_eq(&'=').is_some() {
        let value = word(chars, &[']']).ok_or(unclosed)?;
        if left.is_empty() {
            return Err("a selector `[key=value]` has no key");
        }
        Step::Select { key: left, value }
    } else {
        let digits = left.bytes().all(|b| b.is_ascii_digit());
        let index = left.parse().ok().filter(|_| digits);
        Step::Index(index.ok_or("between brackets stands a position (0, 1, ..) or `key=value`")?)
    };
    chars.next_if_eq(&']').map(|_| step).ok_or(unclosed)
}

impl fmt::Display for YamlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |text: &str, special: &[char]| {
            let mut out = String::with_capacity(text.len());
            for c in text.chars() {
                if c == '\\' || special.contains(&c) {
                    out.push('\\');
                }
                out.push(c);
            }
            out
        };
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if i == 0 => f.write_str(&escaped(key, &['.', '[']))?,
                Step::Key(key) => write!(f, ".{}", escaped(key, &['.', '[']))?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Select { key, value } => {
                    write!(f, "[{}={}]", escaped(key, &['=', ']']), escaped(value, &[']']))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_printed_alike() {
        for text in [
            "a",
            "image.tag",
            "a[0].b",
            "[0][1].x",
            "spec.containers[name=web].image",
            r"metadata.annotations.example\.com/tag",
            r"a\[0].b",
            r"images[name=reg.io/a=b\]c].newTag",
            r"a\\b",
        ] {
            let path = YamlPath::parse(text).expect(text);
            assert_eq!(path.to_string(), text);
        }
        assert_eq!(
            YamlPath::parse(r"a\.b[n=x.y]").map(|p| p.0),
            Ok(vec![Step::Key("a.b".into()), Step::Select { key: "n".into(), value: "x.y".into() }])
        );
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in [
            "", ".", "a.", ".a", "a..b", "a[", "a[0", "a[x]", "a[-1]", "a[+1]", "a[0]b", "a[=x]", "a\\", "a[]", "a.[0]",
        ] {
            assert!(YamlPath::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(YamlPath::parse(&vec!["a"; 33].join(".")).is_err());
    }
}

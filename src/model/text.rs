//! Text from outside on its way to a person: one line, bounded, harmless.

use ring::digest;

/// The longest piece of outside text that is shown in one place.
const SHOWN_CHARS_MAX: usize = 200;

/// Outside text as one bounded line: control and bidirectional characters become spaces, the rest past 200 is cut.
///
/// Every tag, label, commit subject, check answer or webhook text passes here before it reaches a message, a merge
/// request, a page or a log. A leading `/` (a GitLab quick action) loses its place at the front; `@` can mention nobody.
#[must_use]
pub fn shown(text: &str) -> String {
    let harmless = |c: char| match c {
        c if c.is_control() => ' ',
        '\u{2028}'
        | '\u{2029}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => ' ',
        c => c,
    };
    let line: String = text.chars().take(SHOWN_CHARS_MAX).map(harmless).collect();
    let line = line.trim();
    let mut shown = String::with_capacity(line.len() + 8);
    if line.starts_with('/') {
        shown.push('\u{2060}');
    }
    for c in line.chars() {
        shown.push(c);
        if c == '@' {
            shown.push('\u{2060}');
        }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// `: text`, or nothing where there is no text.
#[must_use]
pub fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Lower-case hexadecimal digits of these bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}

/// SHA-256 of these bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_is_one_harmless_line() {
        assert_eq!(shown("fix: login"), "fix: login");
        assert_eq!(shown("a\nTagrelay-Journal: forged"), "a Tagrelay-Journal: forged");
        assert_eq!(shown("  /merge"), "\u{2060}/merge");
        assert_eq!(shown("cc @all"), "cc @\u{2060}all");
        assert_eq!(shown(&"x".repeat(300)).chars().count(), 201);
    }
}

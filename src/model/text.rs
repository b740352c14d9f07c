//! Text from outside on its way to a person: one line, bounded, harmless.

use ring::digest;

/// The longest piece of outside text that is shown in one place.
const SHOWN_CHARS_MAX: usize = 200;

/// Outside text as one bounded line: control characters, and those that are not seen or turn the text around, become
/// spaces; the rest past 200 is cut.
///
/// Every tag, label, commit subject, check answer or webhook text passes here before it reaches a message, a page or a log.
#[must_use]
pub fn shown(text: &str) -> String {
    let harmless = |c: char| if c.is_control() || is_unseen(c) { ' ' } else { c };
    let line: String = text.chars().take(SHOWN_CHARS_MAX).map(harmless).collect();
    let mut shown = line.trim().to_owned();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a character leaves no mark, or changes how others are read.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The same for a message that GitLab reads: a leading `/` gives no order there (a quick action), and `@` mentions nobody.
#[must_use]
pub fn shown_to_gitlab(text: &str) -> String {
    let line = shown(text).replace('@', "@\u{2060}");
    if line.starts_with('/') { format!("\u{2060}{line}") } else { line }
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
        assert_eq!(shown("a\u{9b}b\u{61c}c\u{202e}d\u{2060}e\u{e0041}f"), "a b c d e f");
        assert_eq!(shown("/etc/tagrelay.yaml"), "/etc/tagrelay.yaml", "a path is copied as it stands");
        assert_eq!(shown_to_gitlab("  /merge"), "\u{2060}/merge");
        assert_eq!(shown_to_gitlab("cc @all"), "cc @\u{2060}all");
        assert_eq!(shown(&"x".repeat(300)).chars().count(), 201);
    }
}

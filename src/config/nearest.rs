//! The word that somebody meant.

/// The known word nearest to `written`, if it is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = squeezed(written);
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    let scored = known.into_iter().map(|word| (distance(&written, &squeezed(word)), word));
    scored.filter(|(distance, _)| *distance <= allowed).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// Case and joints do not count: `onFailure` and `on-failure` mean `on_failure`.
fn squeezed(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).take(64).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance, a swap of two neighbours counting once (the "optimal string alignment" of Damerau).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let cell = |row: usize, column: usize| rows.get(row).and_then(|r| r.get(column)).copied();
            let replaced = cell(i, j).unwrap_or(usize::MAX - 1) + usize::from(from != to);
            let removed = cell(i, j + 1).unwrap_or(usize::MAX - 1) + 1;
            let added = row.get(j).copied().unwrap_or(usize::MAX - 1) + 1;
            let swapped = (i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from))
                .then(|| cell(i - 1, j - 1).map(|d| d + 1))
                .flatten();
            row.push(replaced.min(removed).min(added).min(swapped.unwrap_or(usize::MAX)));
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand() {
        let known = ["select", "settle", "on_failure", "together", "pin", "gates"];
        for (written, meant) in [
            ("selct", Some("select")),
            ("slect", Some("select")),
            ("sleect", Some("select")),
            ("onFailure", Some("on_failure")),
            ("gate", Some("gates")),
            ("pni", Some("pin")),
            ("promote", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }
}

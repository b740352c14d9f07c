//! The commonest mistakes, and the whole of what a person is shown for each: the cause, the place, what to write instead.
//!
//! `mistakes.txt` holds them: a title, the file, and behind `>>>` what is shown.

use super::*;

const GALLERY: &str = include_str!("mistakes.txt");

/// What is shown of a file.
fn shown(title: &str, text: &str) -> String {
    if title.starts_with("configuration") {
        return read(text).map(|_| "nothing is wrong".to_owned()).unwrap_or_else(|errors| errors.render(false));
    }
    let broken = loaded(CONFIG, &[("shop.yaml", text)]).broken;
    broken.first().map_or("nothing is wrong".to_owned(), |broken| broken.diagnostics.render(false))
}

#[test]
fn each_is_told_once_with_its_place_and_what_to_do() {
    let (mut n_mistakes, mut actual) = (0, String::new());
    for entry in GALLERY.split("=== ").skip(1) {
        let (title, rest) = entry.split_once('\n').expect("a title");
        let (text, _) = rest.split_once(">>>\n").expect("what is shown");
        let shown = shown(title, text);
        n_mistakes += 1;
        let n_told = shown.matches("error: ").count();
        assert!(n_told == 1 || title.ends_with("(both places)"), "{title}: told {n_told} times\n{shown}");
        actual += &format!("=== {title}\n{text}>>>\n{shown}\n\n");
    }
    assert!(n_mistakes >= 50, "{n_mistakes}");
    assert!(actual == GALLERY, "this is shown:\n{actual}");
}

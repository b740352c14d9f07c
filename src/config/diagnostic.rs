//! What is wrong with a file: where, what, and what to write instead; all of it at once.
//!
//! Drawing is left to `annotate-snippets`. A text that may be a secret is hidden before anything is drawn.

use super::tree::{NotYaml, Place};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The most errors that are told of one file: past that a person mends the first ones and looks again.
const ERRORS_MAX: usize = 100;

/// One error in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as a person knows it.
    pub file: String,
    /// Where in it, in bytes.
    pub span: Range<usize>,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    source: Arc<str>,
}

impl Diagnostic {
    /// The error as `rustc` draws its own: file, line and column, the line itself, a caret under the place, the help.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let title = Level::ERROR.primary_title(&*self.message);
        let mut report = if self.source.is_empty() {
            // Of an empty or unreadable file there is no line to draw.
            vec![title.element(Origin::path(&*self.file))]
        } else {
            let marked = AnnotationKind::Primary.span(self.span.clone());
            vec![title.element(Snippet::source(&*self.source).path(&*self.file).annotation(marked))]
        };
        if let Some(help) = &self.help {
            report.push(Group::with_title(Level::HELP.secondary_title(&**help)));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&report)
    }
}

/// `file:line:column: message`, for one line of a log or a page.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// Every error of one or more files, in the order of the files and of their lines; never empty where it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Each error.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them drawn, an empty line between two.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        self.iter().map(|diagnostic| diagnostic.render(colour)).collect::<Vec<_>>().join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for Diagnostics {}

/// Collects what is wrong with one file while it is read.
#[derive(Debug, Clone)]
pub(crate) struct Problems {
    file: String,
    source: String,
    hides: Hides,
    found: Vec<(Place, String, Option<String>)>,
}

/// Which values of a file are not shown where they stand wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hides {
    /// None: the file is public to its readers.
    Nothing,
    /// Those that may be a secret written in the wrong place.
    Secrets,
}

impl Problems {
    /// A collector for one file.
    pub(crate) fn of(file: &str, source: &str, hides: Hides) -> Self {
        Self { file: crate::model::text::shown(file), source: source.to_owned(), hides, found: Vec::new() }
    }

    /// Adds an error.
    pub(crate) fn add(&mut self, at: &Place, message: impl Into<String>) {
        self.found.push((at.clone(), message.into(), None));
    }

    /// Adds an error with what to write instead.
    pub(crate) fn add_with_help(&mut self, at: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.found.push((at.clone(), message.into(), Some(help.into())));
    }

    /// Adds what keeps the text from being read at all.
    pub(crate) fn not_yaml(&mut self, error: NotYaml, text: &str) {
        let help = error.help(text).map(str::to_owned);
        self.found.push((error.at, error.message, help));
    }

    /// Adds what a result says is wrong; the value where it is right.
    pub(crate) fn check<T, E: fmt::Display>(&mut self, at: &Place, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(at, error.to_string())).ok()
    }

    /// Keeps the value at this place from being drawn, where the file may hold secrets.
    pub(crate) fn hide(&mut self, at: &Place) {
        if self.hides != Hides::Secrets {
            return;
        }
        let Some(text) = self.source.get(at.clone()) else { return };
        let stars: String = text.chars().map(|c| if c == '\n' { '\n' } else { '*' }).collect();
        let padding = " ".repeat(at.len().saturating_sub(stars.len()));
        self.source.replace_range(at.clone(), &(stars + &padding));
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What was found: by line, the same error once.
    pub(crate) fn finish(mut self) -> Diagnostics {
        self.found.sort_by_key(|(at, _, _)| at.start);
        self.found.dedup();
        self.found.truncate(ERRORS_MAX);
        let source: Arc<str> = self.source.into();
        let file = self.file;
        let drawn = |(span, message, help): (Place, String, Option<String>)| {
            let before = source.get(..span.start).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let line = 1 + before.bytes().filter(|b| *b == b'\n').count();
            let column = 1 + before.get(line_start..).unwrap_or_default().chars().count();
            Diagnostic { file: file.clone(), span, line, column, message, help, source: Arc::clone(&source) }
        };
        Diagnostics(self.found.into_iter().map(drawn).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_drawn_under_its_place() {
        let mut problems = Problems::of("policies/shop.yaml", "name: shop\nimages: []\npoll: 5x\n", Hides::Nothing);
        problems.add_with_help(&(28..30), "`5x` is no duration", "write `5m`");
        problems.add(&(19..21), "needs one image");
        let diagnostics = problems.finish();
        let drawn = "\
error: needs one image
 --> policies/shop.yaml:2:9
  |
2 | images: []
  |         ^^

error: `5x` is no duration
 --> policies/shop.yaml:3:7
  |
3 | poll: 5x
  |       ^^
  |
help: write `5m`";
        assert_eq!(diagnostics.render(false), drawn);
        assert_eq!(
            diagnostics.to_string(),
            "policies/shop.yaml:2:9: needs one image\npolicies/shop.yaml:3:7: `5x` is no duration"
        );
    }

    #[test]
    fn a_hidden_value_is_not_drawn() {
        let mut problems = Problems::of("tagrelay.yaml", "token: sécret\nb: 1\n", Hides::Secrets);
        problems.hide(&(7..14));
        problems.add(&(7..14), "a secret is never a literal");
        let drawn = problems.finish().render(false);
        assert!(drawn.contains("token: ******") && !drawn.contains("cret\n"), "{drawn}");
    }
}

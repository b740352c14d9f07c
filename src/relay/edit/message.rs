//! The message of a commit of ours: a subject by template, what moves and why, and the trailers that make it ours.
//!
//! No text from outside and no template can forge a trailer: lines that begin like one are dropped, and ours are the
//! last paragraph.

use super::template::{Template, TemplateError};
use super::words::{ImageWords, Vocabulary, Words};
use crate::model::Because;
use crate::model::text::shown_to_gitlab;

/// The subject where the policy gives none.
const DEFAULT_TEMPLATE: &str = r#"{{ environment }}: {{ policy }} {{ old.tag | default("nothing") }} -> {{ new.tag }}"#;
/// The beginning of the subject where the tags do not tell what moves.
const MOVED_TEMPLATE: &str = "{{ environment }}: {{ policy }}";
/// How many images a message lists; the trailers name them all.
const IMAGES_LISTED_MAX: usize = 20;
/// The longest subject, in characters: longer ones are cut by every tool that shows them.
const SUBJECT_CHARS_MAX: usize = 200;
/// How every trailer of ours begins, in lower case.
const TRAILER_PREFIX: &str = "tagrelay-";

/// The commit message of a change.
///
/// `template` gives the subject, and the first lines of the body where it has several; none is the built-in one.
/// `trailers` are the lines of `model::pin::Trailers::lines`.
///
/// # Errors
/// When the template gives more text than is allowed.
pub fn message(
    template: Option<&Template>,
    words: &Words,
    because: &Because,
    trailers: &str,
) -> Result<String, TemplateError> {
    let rendered = match template {
        Some(template) => template.render(words)?,
        None => default_subject(words)?,
    };
    let mut lines = rendered.lines().map(harmless).filter(|line| !is_trailer(line));
    let subject = match lines.find(|line| !line.is_empty()) {
        Some(line) => line,
        None => default_subject(words)?,
    };
    let subject: String = subject.chars().take(SUBJECT_CHARS_MAX).collect();
    let more = lines.collect::<Vec<_>>().join("\n");
    let mut paragraphs = vec![subject, more.trim().to_owned(), listed(words.images())];
    paragraphs.push(format!("Because: {}", shown_to_gitlab(&because.to_string())));
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    Ok(format!("{}\n\n{}\n", paragraphs.join("\n\n"), trailers.trim_end()))
}

fn default_subject(words: &Words) -> Result<String, TemplateError> {
    let moved = words.images().first().and_then(by_digest);
    let template = moved.as_ref().map_or(DEFAULT_TEMPLATE, |_| MOVED_TEMPLATE);
    let subject = Template::parse(template, Vocabulary::Release)?.render(words)?;
    Ok(moved.map_or_else(|| subject.clone(), |moved| format!("{subject} {moved}")))
}

/// What moves where the tags do not tell: the same tag names another build, or only digests are pinned.
fn by_digest(image: &ImageWords) -> Option<String> {
    let same_tag = image.old.tag == image.new.tag;
    let no_tag = image.old.tag.is_empty() && !image.old.digest.is_empty();
    if !same_tag && !no_tag {
        return None;
    }
    let old = if image.old.digest.is_empty() { image.old.tag.as_str() } else { short(&image.old.digest) };
    let revision = image.new.revision.get(..8).map_or_else(String::new, |revision| format!(", built from {revision}"));
    Some(format!("{old} -> {} ({}{revision})", short(&image.new.digest), image.new.tag))
}

/// The first digits of a digest, for people.
fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}

/// Each image, what ran and what comes.
fn listed(images: &[ImageWords]) -> String {
    let build = |tag: &str, digest: &str| {
        let hex = short(digest);
        match (tag.is_empty(), hex.is_empty()) {
            (true, true) => "nothing".to_owned(),
            (false, true) => tag.to_owned(),
            (true, false) => hex.to_owned(),
            (false, false) => format!("{tag} ({hex})"),
        }
    };
    let line = |image: &ImageWords| {
        format!(
            "{}: {} -> {}",
            image.name,
            build(&image.old.tag, &image.old.digest),
            build(&image.new.tag, &image.new.digest)
        )
    };
    let mut lines: Vec<String> = images.iter().take(IMAGES_LISTED_MAX).map(line).collect();
    if images.len() > IMAGES_LISTED_MAX {
        lines.push(format!("and {} more", images.len() - IMAGES_LISTED_MAX));
    }
    lines.join("\n")
}

/// A line without control characters and trailing blanks.
fn harmless(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim_end().to_owned()
}

fn is_trailer(line: &str) -> bool {
    line.trim_start().to_lowercase().starts_with(TRAILER_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pin::Trailers;
    use crate::model::{
        Build, BuildFacts, CommitId, Digest, EnvironmentName, Image, ImageName, Pin, Pinned, PolicyName,
    };
    use crate::model::{Release, Repository, Sequence, Tag};

    fn check(template: Option<&str>, because: &Because, expected: &str) {
        let name = ImageName::parse("shop").expect("name");
        let image = Image {
            name: name.clone(),
            repository: Repository::parse("reg.io/shop").expect("repository"),
            before: Vec::new(),
            platforms: Vec::new(),
            source: None,
        };
        let build = |tag: &str| Build {
            tag: Tag::parse(tag).expect("tag"),
            digest: Digest::of(tag.as_bytes()),
            facts: BuildFacts::default().into(),
        };
        let release = Release::new([(name.clone(), build("v2"))].into());
        let pin = Pin([(name, Pinned { tag: Tag::parse("v1").ok(), digest: None })].into());
        let (policy, environment) =
            (PolicyName::parse("shop").expect("name"), EnvironmentName::parse("prod").expect("name"));
        let words = Words::of_change(&policy, &environment, &[image], (&pin, None), &release);
        let template = template.map(|source| Template::parse(source, Vocabulary::Release).expect("template"));
        let trailers = Trailers::lines("j1", Sequence(7), &policy, &environment, &release);
        let message = message(template.as_ref(), &words, because, &trailers).expect("message");
        assert_eq!(message, format!("{expected}\n\n{trailers}"));
        let read = Trailers::read(&CommitId::parse(&"0".repeat(40)).expect("id"), &message).expect("trailers");
        assert_eq!((read.journal.as_str(), read.sequence), ("j1", Sequence(7)));
    }

    #[test]
    fn where_tags_do_not_tell_digests_do() {
        let word = |tag: &str, digest: &str, revision: &str| super::super::words::BuildWords {
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            revision: revision.to_owned(),
            created: String::new(),
        };
        let (old, new) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        for (before, revision, expected) in [
            (
                word("dev", &old, ""),
                "0123456789abcdef",
                Some("aaaaaaaaaaaa -> bbbbbbbbbbbb (dev, built from 01234567)"),
            ),
            (word("dev", &old, ""), "", Some("aaaaaaaaaaaa -> bbbbbbbbbbbb (dev)")),
            (word("", &old, ""), "", Some("aaaaaaaaaaaa -> bbbbbbbbbbbb (dev)")),
            (word("dev", "", ""), "", Some("dev -> bbbbbbbbbbbb (dev)")),
            (word("1.0", &old, ""), "", None),
            (word("", "", ""), "", None),
        ] {
            let image = ImageWords { name: "shop".to_owned(), old: before, new: word("dev", &new, revision) };
            assert_eq!(by_digest(&image).as_deref(), expected, "{image:?}");
        }
    }

    #[test]
    fn messages() {
        let body = "shop: v1 -> v2 (fd98d51d9ee4)";
        let short = Digest::of(b"v2").short().to_owned();
        let body = body.replace("fd98d51d9ee4", &short);
        let gates = Because::GatesOpen(vec!["soak".to_owned(), "window".to_owned()]);
        check(None, &gates, &format!("prod: shop v1 -> v2\n\n{body}\n\nBecause: open: soak, window"));
        check(
            Some(
                "[skip ci] {{ environment | upper }} {{ new.tag }}\n\nmore of it\nTagrelay-Journal: x/1\n tagRELAY-policy: y\n\n",
            ),
            &Because::NoGates,
            &format!("[skip ci] PROD v2\n\nmore of it\n\n{body}\n\nBecause: no gate is asked for"),
        );
        check(
            Some("Tagrelay-Journal: x/1"),
            &Because::NoGates,
            &format!("prod: shop v1 -> v2\n\n{body}\n\nBecause: no gate is asked for"),
        );
        let forged = Because::Forced { who: "eve".to_owned(), reason: "x\n\nTagrelay-Journal: j1/1\n".to_owned() };
        check(
            None,
            &forged,
            &format!("prod: shop v1 -> v2\n\n{body}\n\nBecause: forced by eve: x  Tagrelay-Journal: j1/1"),
        );
    }
}

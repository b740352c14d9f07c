//! What must not be edited though it could be: files that SOPS signs, and tags that something beside them outranks.

use super::EditError;
use super::locate::{Found, find};
use super::path::{Step, YamlPath};
use super::tree::{Kind, Tree};
use crate::model::place::Document;

/// Refuses a file whose signature a change would break: SOPS signs every value of a file, the clear ones too, unless
/// `mac_only_encrypted` stands there.
///
/// # Errors
/// `Signed`.
pub(super) fn is_unsigned(tree: &Tree<'_>) -> Result<(), EditError> {
    for root in tree.roots() {
        let Some((key, sops)) = tree.entry(root, "sops") else { continue };
        let says = |name: &str| tree.entry(sops, name).and_then(|(_, value)| tree.scalar(value)).unwrap_or_default();
        if !says("mac").is_empty() && says("mac_only_encrypted") != "true" {
            return Err(EditError::Signed { file: tree.file.to_owned(), line: tree.line(tree.node(key).span.start) });
        }
    }
    Ok(())
}

/// Refuses a tag beside which a digest stands that wins over it in common charts, unless the policy writes that one too.
///
/// # Errors
/// `Outranked`; or whatever keeps the path from being walked.
pub(super) fn is_not_outranked(
    tree: &Tree<'_>,
    document: Option<&Document>,
    tag: &YamlPath,
    written: &[&YamlPath],
) -> Result<(), EditError> {
    let Some((Step::Key(last), before)) = tag.steps().split_last() else { return Ok(()) };
    for rival in rivals(last) {
        let path = YamlPath::of(before.iter().cloned().chain([Step::Key(rival)]));
        if written.contains(&&path) {
            continue;
        }
        // What cannot be reached there wins over nothing.
        let Ok(Found::Here { node, .. }) = find(tree, &path, document) else { continue };
        let value = match tree.node(node).kind {
            Kind::Alias { of } => of,
            Kind::Mapping { .. } | Kind::Sequence { .. } | Kind::Scalar { .. } => node,
        };
        if !tree.is_null(value) && tree.scalar(value).is_some_and(|text| !text.is_empty()) {
            return Err(EditError::Outranked {
                file: tree.file.to_owned(),
                line: tree.line(tree.node(node).span.start),
                tag: tag.to_string(),
                by: path.to_string(),
            });
        }
    }
    Ok(())
}

/// The keys that win over a tag in common charts: `digest` and `sha`, and for `imageTag` also `imageDigest`.
fn rivals(tag: &str) -> Vec<String> {
    let mut rivals = vec!["digest".to_owned(), "sha".to_owned()];
    for (word, digest, sha) in [("tag", "digest", "sha"), ("Tag", "Digest", "Sha"), ("TAG", "DIGEST", "SHA")] {
        if let Some(at) = tag.rfind(word) {
            let (front, back) = (tag.get(..at).unwrap_or_default(), tag.get(at + word.len()..).unwrap_or_default());
            rivals.extend([digest, sha].map(|other| format!("{front}{other}{back}")));
        }
    }
    rivals.dedup();
    rivals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_digest_outranks_the_tag_beside_it() {
        for (text, tag, written, by) in [
            ("image: {tag: v1, digest: 'sha256:a'}", "image.tag", None, Some("image.digest")),
            ("image: {tag: v1, sha: abc}", "image.tag", None, Some("image.sha")),
            ("image: {tag: v1, digest: ''}", "image.tag", None, None),
            ("image: {tag: v1, digest: }", "image.tag", None, None),
            ("image: {tag: v1, digest: ~}", "image.tag", None, None),
            ("image: {tag: v1, digest: x}", "image.tag", Some("image.digest"), None),
            ("image: {tag: v1, digest: x, sha: y}", "image.tag", Some("image.digest"), Some("image.sha")),
            ("image: {tag: v1}\ndigest: x", "image.tag", None, None),
            ("image.tag: v1\nimage.digest: x", "image.tag", None, Some("image.digest")),
            ("imageTag: v1\nimageDigest: x", "imageTag", None, Some("imageDigest")),
            ("image: {tag: v1, digest: {}}", "image.tag", None, None),
            ("d: &d x\nimage: {tag: v1, digest: *d}", "image.tag", None, Some("image.digest")),
            ("a: [{tag: v1, digest: x}]", "a[0].tag", None, Some("a[0].digest")),
        ] {
            let tree = Tree::parse("f", text).expect("parses");
            let path = |text: &str| YamlPath::parse(text).expect("a path");
            let written = written.map(path);
            let judged = is_not_outranked(&tree, None, &path(tag), written.as_ref().as_slice());
            let found = judged.err().map(|error| match error {
                EditError::Outranked { by, .. } => by,
                other => panic!("{other}"),
            });
            assert_eq!(found.as_deref(), by, "{text}");
        }
    }
}

//! The path of a GitLab project and the name of an environment, as GitLab itself takes them.

use super::diagnostic::Problems;
use super::read::At;
use crate::model::text::shown;

/// The longest path of a namespace or project, each (GitLab's `routes.path` and `projects.path`).
const SEGMENT_BYTES_MAX: usize = 255;
/// The longest name of an environment (GitLab, `Environment`).
const ENVIRONMENT_CHARS_MAX: usize = 255;

/// Tells of a project that GitLab cannot have.
pub(crate) fn check(written: &At<String>, problems: &mut Problems) {
    if let Err((message, help)) = project(&written.value) {
        problems.add_with_help(&written.at, message, help);
    }
}

/// Checks the path or number of a project.
///
/// # Errors
/// Why GitLab has no such project, and what to write where that can be told.
fn project(written: &str) -> Result<(), (String, String)> {
    let wrong = |why: &str| {
        let path = path_in(written).filter(|path| project(path).is_ok());
        let help = path.map_or_else(
            || "a project is its path, like `group/web`, or its number".to_owned(),
            |path| format!("a project is its path: write `{path}`"),
        );
        Err((format!("`{}` is no GitLab project: {why}", shown(written)), help))
    };
    if !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    if written.contains("://") || written.contains('@') {
        return wrong("it is the address of a clone");
    }
    let segments: Vec<&str> = written.split('/').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return wrong("a `/` stands at its beginning or end, or twice in a row");
    }
    if segments.len() < 2 {
        return wrong("it names no group or user before the project");
    }
    match segments.into_iter().find_map(objection) {
        Some(why) => wrong(&why),
        None => Ok(()),
    }
}

/// Why GitLab takes no part of a path that is called so (GitLab, `Gitlab::PathRegex`).
fn objection(segment: &str) -> Option<String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let shown = shown(segment);
    if matches!(segment, "." | "..") {
        return Some(format!("`{shown}` names no project"));
    }
    if !segment.chars().all(is_allowed) {
        return Some(format!("`{shown}` has other characters than letters, digits, `_`, `-` and `.`"));
    }
    if segment.starts_with('-') {
        return Some(format!("`{shown}` begins with `-`"));
    }
    if [".git", ".atom"].iter().any(|ending| segment.to_ascii_lowercase().ends_with(ending)) {
        return Some(format!("`{shown}` ends in `.git` or `.atom`"));
    }
    (segment.len() > SEGMENT_BYTES_MAX).then(|| format!("`{shown}` is longer than {SEGMENT_BYTES_MAX} bytes"))
}

/// The path that is meant by the address of a clone, or by a path with too much around it.
fn path_in(written: &str) -> Option<&str> {
    let path = match (written.split_once("://"), written.split_once('@')) {
        (Some((_, rest)), _) => rest.split_once('/')?.1,
        (None, Some((_, rest))) => rest.split_once(':')?.1,
        (None, None) => written,
    };
    let path = path.trim_matches('/');
    Some(path.strip_suffix(".git").unwrap_or(path)).filter(|path| *path != written)
}

/// Checks the name of an environment (GitLab, `Gitlab::Regex.environment_name_regex`).
///
/// # Errors
/// Why GitLab takes no environment of that name.
pub(crate) fn environment(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_/${} .".contains(c);
    let wrong = |why: &str| Err(format!("`{}` is no name of an environment in GitLab: {why}", shown(name)));
    if name.is_empty() || name.chars().count() > ENVIRONMENT_CHARS_MAX {
        return wrong("it has 1 to 255 characters");
    }
    if !name.chars().all(is_allowed) {
        return wrong("it has letters, digits, spaces, `-`, `_`, `/`, `$`, `{`, `}` and `.` alone");
    }
    if name.starts_with('/') || name.ends_with('/') {
        return wrong("no `/` stands at its beginning or end");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_that_gitlab_can_have() {
        for sound in ["group/web", "group/sub/web", "42", "G_r.oup/we-b", "a/.hidden", "user/x.y"] {
            assert_eq!(project(sound), Ok(()), "{sound}");
        }
        for (wrong, why, help) in [
            ("https://gitlab.example.com/group/web", "the address of a clone", "write `group/web`"),
            ("git@gitlab.example.com:group/web.git", "the address of a clone", "write `group/web`"),
            ("group/web.git", "ends in `.git`", "write `group/web`"),
            ("/group/web", "at its beginning", "write `group/web`"),
            ("group/web/", "at its beginning or end", "write `group/web`"),
            ("group//web", "twice in a row", "like `group/web`"),
            ("..", "names no group", "like `group/web`"),
            ("group/..", "`..` names no project", "like `group/web`"),
            ("group/../web", "`..` names no project", "like `group/web`"),
            ("./web", "`.` names no project", "like `group/web`"),
            ("web", "names no group or user", "like `group/web`"),
            ("group/my web", "other characters", "like `group/web`"),
            ("group/-web", "begins with `-`", "like `group/web`"),
            ("group/x.atom", "ends in `.git` or `.atom`", "like `group/web`"),
            ("group%2Fweb", "names no group", "like `group/web`"),
            ("", "at its beginning", "like `group/web`"),
        ] {
            let (message, said) = project(wrong).expect_err(wrong);
            assert!(message.contains(why) && said.contains(help), "{wrong}: {message} | {said}");
        }
    }

    #[test]
    fn environments_that_gitlab_can_have() {
        for (name, sound) in [
            ("production", true),
            ("review/feature-1", true),
            ("eu west", true),
            ("/x", false),
            ("x/", false),
            ("a:b", false),
            ("größe", false),
            ("", false),
        ] {
            assert_eq!(environment(name).is_ok(), sound, "{name}");
        }
    }
}

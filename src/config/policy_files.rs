//! Which files are policies: those of a folder, all of them or those whose names match a pattern.
//!
//! Files of others may stand beside policies (a kustomization); a pattern keeps them from being read as broken policies.

use super::glob::Glob;
use super::read::listed;
use crate::model::text::shown;
use crate::relay::brake;

/// How the name of a policy file ends, and that of its cases.
const ENDINGS: [&str; 2] = [".yaml", ".yml"];

/// The names of the policy files of a folder.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyNames {
    pattern: Option<Glob>,
    /// The same pattern for a file system that knows no capitals.
    folded: Option<Glob>,
}

impl PolicyNames {
    /// Parts what stands under `policies` into the folder, as it was written, and the names of the files there.
    ///
    /// # Errors
    /// A sentence, where the pattern is none or stands in the path of the folder.
    pub(crate) fn parted(written: &str) -> Result<(&str, Self), String> {
        let (folder, name) = written.rsplit_once('/').unwrap_or(("", written));
        if is_pattern(folder) {
            let last = "only the last part of `policies` may be a pattern, as in `policies/*.policy.yaml`";
            return Err(format!("`{}` is no place of policies: {last}", shown(written)));
        }
        if !is_pattern(name) {
            return Ok((written, Self::default()));
        }
        let folder = if folder.is_empty() && written.starts_with('/') { "/" } else { folder };
        let (pattern, folded) = (Glob::parse(name)?, Glob::parse(&name.to_lowercase())?);
        Ok((folder, Self { pattern: Some(pattern), folded: Some(folded) }))
    }

    /// Whether a file of this name is a policy, or cases of one.
    #[must_use]
    pub fn are(&self, name: &str) -> bool {
        !brake::is_hold_file(name) && is_yaml(name) && self.matches(self.pattern.as_ref(), name)
    }

    /// The same for a name that was folded as the least careful file system folds it.
    pub(crate) fn are_folded(&self, name: &str) -> bool {
        is_yaml(name) && self.matches(self.folded.as_ref(), name)
    }

    /// Whether they are chosen by a pattern.
    pub(crate) fn has_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    fn matches(&self, pattern: Option<&Glob>, name: &str) -> bool {
        let Some(pattern) = pattern else { return true };
        let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)?.strip_suffix(".cases"));
        let of_cases =
            stem.is_some_and(|stem| ENDINGS.iter().any(|ending| pattern.matches(&format!("{stem}{ending}"))));
        of_cases || pattern.matches(name)
    }

    /// The names for a message: `*.policy.yaml`, or `*.yaml`, `*.yml`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.pattern {
            Some(pattern) => format!("`{}`", shown(pattern.as_str())),
            None => listed(&["*.yaml", "*.yml"]),
        }
    }
}

fn is_yaml(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_chooses_files_of_one_folder() {
        for (written, folder, name, expected) in [
            ("policies/", "policies/", "shop.yaml", true),
            ("policies", "policies", "shop.cases.yml", true),
            ("policies", "policies", "HOLD.yaml", false),
            ("policies", "policies", "README.md", false),
            ("policies/*.policy.yaml", "policies", "shop.policy.yaml", true),
            ("policies/*.policy.yaml", "policies", "shop.policy.cases.yaml", true),
            ("policies/*.policy.yaml", "policies", "kustomization.yaml", false),
            ("policies/*.policy.yaml", "policies", "HOLD.policy.yaml", false),
            ("policies/*", "policies", "shop.json", false),
            ("*.policy.yaml", "", "shop.policy.yaml", true),
            ("/etc/tagrelay/{shop,web}.yaml", "/etc/tagrelay", "web.yaml", true),
            ("/etc/tagrelay/{shop,web}.yaml", "/etc/tagrelay", "api.yaml", false),
        ] {
            let (of, names) = PolicyNames::parted(written).expect(written);
            assert_eq!((of, names.are(name)), (folder, expected), "{written} {name}");
        }
    }

    #[test]
    fn a_folder_is_named_and_no_pattern() {
        for (written, says) in [("teams/*/shop.yaml", "only the last part"), ("policies/[.yaml", "is no pattern")] {
            let error = PolicyNames::parted(written).expect_err(written);
            assert!(error.contains(says), "{error}");
        }
    }
}

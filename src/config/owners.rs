//! Which of several files a policy's name belongs to: the one that it was loaded from before, else the one that stands
//! first.

use super::policy::Draft;
use crate::model::PolicyName;
use std::collections::BTreeMap;

/// From where policies were loaded before, by name.
pub type Owners = BTreeMap<PolicyName, Owner>;

/// The file that a name belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The file, as [`PolicyOrigin`](crate::model::policy::PolicyOrigin) is shown.
    pub origin: String,
    /// Whether that file could not be read yet: what it says is not known, and the name stays with it.
    pub is_unread: bool,
}

/// The drafts that want a name which belongs to another file, each with the words that say so.
pub(super) fn refused(drafts: &[Draft], owners: &Owners) -> Vec<(usize, String)> {
    let mut by_name: BTreeMap<&PolicyName, Vec<usize>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(name) = &draft.name {
            by_name.entry(&name.value).or_default().push(index);
        }
    }
    let mut refused = Vec::new();
    for (name, claimants) in by_name {
        let owner = owner(name, &claimants, drafts, owners);
        for index in claimants {
            if drafts[index].origin.to_string() != owner {
                refused.push((index, format!("the name `{name}` belongs to {owner}, which goes on")));
            }
        }
    }
    refused
}

/// The file that a name belongs to.
fn owner(name: &PolicyName, claimants: &[usize], drafts: &[Draft], owners: &Owners) -> String {
    let origin = |index: &usize| drafts[*index].origin.to_string();
    if let Some(owner) = owners.get(name) {
        // A file whose name cannot be read any more is broken, and its last good text goes on.
        let is_nameless = |draft: &Draft| draft.name.is_none() && draft.origin.to_string() == owner.origin;
        let claims = claimants.iter().any(|index| origin(index) == owner.origin);
        if owner.is_unread || claims || drafts.iter().any(is_nameless) {
            return owner.origin.clone();
        }
    }
    let first = claimants.iter().min_by_key(|index| &drafts[**index].origin);
    first.map(origin).unwrap_or_default()
}

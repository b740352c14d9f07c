//! The ids that a journal gave out numbers under: its own, and those that it had before.
//!
//! A copy of a journal, and one that finds its own id in git with a number that it never gave out, take a new id, so that
//! no number is given out twice under one id. What was given out under a former id is still ours.

use super::Sequence;

/// The ids of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalIds {
    /// The id that stands in the trailers of commits from now on.
    pub id: String,
    /// The ids it had before.
    pub former: Vec<FormerId>,
}

/// An id that a journal had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerId {
    /// The id.
    pub id: String,
    /// The last number that this journal gave out under it.
    pub last: Sequence,
}

impl JournalIds {
    /// Whether this journal may have given out that number under that id.
    #[must_use]
    pub fn may_have_given(&self, id: &str, sequence: Sequence) -> bool {
        id == self.id || self.former.iter().any(|former| former.id == id && sequence <= former.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_id_counts_up_to_where_it_went() {
        let former = vec![FormerId { id: "aaaa".to_owned(), last: Sequence(13) }];
        let ids = JournalIds { id: "bbbb".to_owned(), former };
        for (id, sequence, expected) in
            [("bbbb", 99, true), ("aaaa", 13, true), ("aaaa", 14, false), ("cccc", 1, false)]
        {
            assert_eq!(ids.may_have_given(id, Sequence(sequence)), expected, "{id}/{sequence}");
        }
    }
}

//! The large answers, each made once for one published status, whoever and how many ask for it.
//!
//! Answers share their bytes, so that many slow readers hold one page between them, and not one each.

use crate::daemon::view::Status;
use axum::body::Bytes;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The forms of the status that was shown last.
#[derive(Default)]
pub(super) struct LastRendered(Mutex<Option<Arc<Rendered>>>);

/// The forms of one status, as far as somebody asked for them.
pub(super) struct Rendered {
    pub(super) status: Arc<Status>,
    page: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
    policies: OnceLock<Bytes>,
}

impl LastRendered {
    /// The forms of this status: those that were made of it before, where it is the same.
    pub(super) fn of(&self, status: Arc<Status>) -> Arc<Rendered> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(known) if Arc::ptr_eq(&known.status, &status) => known.clone(),
            _ => {
                let new = Rendered { status, page: OnceLock::new(), json: OnceLock::new(), policies: OnceLock::new() };
                last.insert(Arc::new(new)).clone()
            }
        }
    }
}

impl Rendered {
    /// The page, made like this where nobody asked for it yet.
    pub(super) fn page(&self, make: impl FnOnce(&Status) -> String) -> Bytes {
        self.page.get_or_init(|| make(&self.status).into()).clone()
    }

    /// Everything as JSON.
    pub(super) fn json(&self, make: impl FnOnce(&Status) -> Vec<u8>) -> Bytes {
        self.json.get_or_init(|| make(&self.status).into()).clone()
    }

    /// All policies as JSON.
    pub(super) fn policies(&self, make: impl FnOnce(&Status) -> Vec<u8>) -> Bytes {
        self.policies.get_or_init(|| make(&self.status).into()).clone()
    }
}

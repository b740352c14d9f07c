//! What goes wrong with a git remote, cut by what the caller does about it.
//!
//! It does not say which remote: inside, a failure is a [`Fault`], and the mirror adds the remote's name on the way out.

use crate::clients::http::HttpError;
use crate::model::text;
use std::time::Duration;

/// Why a git operation did not come about. Every message names the remote, without user, password or query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// No answer, half an answer, or a server in trouble: read the tip again and try later. After a push nobody knows
    /// whether it arrived.
    #[error("{remote}: {reason}")]
    Unreachable {
        /// The remote.
        remote: String,
        /// What happened and what to do.
        reason: String,
        /// How long from now the server wants to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
    /// The server does not want this from us (credentials, a protected branch, a hook): a person has to act.
    #[error("{remote}: {reason}")]
    Refused {
        /// The remote.
        remote: String,
        /// What happened and what to do.
        reason: String,
    },
    /// The repository, branch or commit is not there.
    #[error("{remote}: {reason}")]
    Absent {
        /// The remote.
        remote: String,
        /// What happened and what to do.
        reason: String,
    },
    /// What was asked, or what stands in the repository, can never work as it is: a person has to change it.
    #[error("{remote}: {reason}")]
    Invalid {
        /// The remote.
        remote: String,
        /// What happened and what to do.
        reason: String,
    },
    /// Objects on our own disk cannot be used. A mirror is a cache and was emptied: try again, and look at the disk if
    /// this repeats.
    #[error(
        "{remote}: objects on disk cannot be used: {reason}; a mirror is made again, if this repeats look at the disk"
    )]
    Mirror {
        /// The remote.
        remote: String,
        /// What happened.
        reason: String,
    },
}

/// A failure before the remote's name is added to it.
#[derive(Debug)]
pub(super) enum Fault {
    Unreachable(String),
    /// The same, of a server that asks for patience.
    Busy(String, Option<Duration>),
    Refused(String),
    Absent(String),
    Invalid(String),
    /// The objects or references on our own disk could not be read or written.
    Store(String),
}

impl Fault {
    /// What happened, in words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Unreachable(reason)
            | Self::Busy(reason, _)
            | Self::Refused(reason)
            | Self::Absent(reason)
            | Self::Invalid(reason)
            | Self::Store(reason) => reason.clone(),
        }
    }

    /// The failure with the remote's name, as the caller sees it.
    pub(super) fn at(self, remote: &str) -> GitError {
        let remote = remote.to_owned();
        match self {
            Self::Unreachable(reason) => GitError::Unreachable { remote, reason, retry_after: None },
            Self::Busy(reason, retry_after) => GitError::Unreachable { remote, reason, retry_after },
            Self::Refused(reason) => GitError::Refused { remote, reason },
            Self::Absent(reason) => GitError::Absent { remote, reason },
            Self::Invalid(reason) => GitError::Invalid { remote, reason },
            Self::Store(reason) => GitError::Mirror { remote, reason },
        }
    }
}

impl From<git2::Error> for Fault {
    fn from(error: git2::Error) -> Self {
        Self::Store(text::shown(error.message()))
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        let reason = error.to_string();
        match error {
            HttpError::Unreachable { .. } | HttpError::TimedOut { .. } => Self::Unreachable(reason),
            HttpError::TooLarge { .. }
            | HttpError::NoRoots { .. }
            | HttpError::NoTls { .. }
            | HttpError::Setting(_) => Self::Invalid(reason),
        }
    }
}

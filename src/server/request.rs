//! What a request says: the names in its path, its query, its JSON body. Whatever is wrong with it is one sentence in JSON.
//!
//! It gives names and texts their types; whether such things exist, and who may ask, is not known here.

use super::reply::Refused;
use crate::daemon::Target;
use crate::model::{EnvironmentName, PolicyName, Scope, text};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The policy that a path names.
pub(super) struct Of(pub(super) PolicyName);

/// The environment that a path names.
pub(super) struct At(pub(super) Target);

/// A query, all of it known.
pub(super) struct Asked<T>(pub(super) T);

/// A body that was read whole, and not looked at yet.
pub(super) struct Body(Bytes);

impl<S: Send + Sync> FromRequestParts<S> for Of {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) = path.map_err(|error| Refused::bad(&error.body_text()))?;
        policy(&name).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for At {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((of, at)) = path.map_err(|error| Refused::bad(&error.body_text()))?;
        Ok(Self(Target { policy: policy(&of)?, environment: environment(&at)? }))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| Refused::bad(&error.body_text()))
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        Bytes::from_request(request, state).await.map(Self).map_err(|error: BytesRejection| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let message = "the body is larger than is read here: send less";
                return Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message);
            }
            Refused::bad(&error.body_text())
        })
    }
}

impl Body {
    /// What the body says.
    ///
    /// # Errors
    /// When it is no JSON, or not of this form: line and column are told.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(&self.0).map_err(|error| Refused::bad(&format!("the body: {error}")))
    }
}

/// A scope, by its names; what is not named means all.
pub(super) fn scope(of: Option<&str>, at: Option<&str>) -> Result<Scope, Refused> {
    Ok(Scope { policy: of.map(policy).transpose()?, environment: at.map(environment).transpose()? })
}

/// A policy, by its name.
pub(super) fn policy(name: &str) -> Result<PolicyName, Refused> {
    PolicyName::parse(name).map_err(|error| Refused::bad(&error.to_string()))
}

/// An environment, by `POLICY/ENV`.
pub(super) fn target(place: &str) -> Result<Target, Refused> {
    let parts = place.split_once('/');
    let (of, at) = parts.ok_or_else(|| Refused::bad("name one environment: POLICY/ENV, for example shop/prod"))?;
    Ok(Target { policy: policy(of)?, environment: environment(at)? })
}

fn environment(name: &str) -> Result<EnvironmentName, Refused> {
    EnvironmentName::parse(name).map_err(|error| Refused::bad(&error.to_string()))
}

/// A piece of text, where there is one that is more than space.
pub(super) fn said(reason: Option<String>) -> Option<String> {
    reason.filter(|reason| !text::shown(reason).is_empty())
}

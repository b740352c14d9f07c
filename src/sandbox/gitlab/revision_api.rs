//! The parts of the Commits, Branches and Repositories APIs that tell where a revision stands.

use super::Asker;
use super::project::Role;
use super::revisions::{Kind, Shown};
use super::wording::{Answer, Params, Refusal, page};
use crate::sandbox::wire;
use axum::Json;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

/// How many digits of an id make its short form.
const SHORT_ID_CHARS: usize = 8;

/// `GET /projects/:id/repository/commits/:sha`.
pub(super) async fn commit(asker: &Asker, revision: &str, request: &Request<Bytes>) -> Answer {
    let commit = found_commit(asker, revision).await?;
    Ok(Json(commit_json(&commit, asker, request)).into_response())
}

/// `GET /projects/:id/repository/commits/:sha/refs`: the branches and tags that contain it.
pub(super) async fn refs(asker: &Asker, revision: &str, request: &Request<Bytes>) -> Answer {
    let kind = Params::of(request)?.one_of("type", &["branch", "tag", "all"])?;
    let commit = found_commit(asker, revision).await?;
    let mut refs = Vec::new();
    for one in [Kind::Branch, Kind::Tag] {
        if kind.as_deref().is_none_or(|kind| kind == "all" || kind == one.name()) {
            let named = asker.revisions.named(one, Some(&commit.sha)).await?;
            refs.extend(named.into_iter().map(|(name, _)| json!({ "type": one.name(), "name": name })));
        }
    }
    Ok(page(request, refs))
}

/// `GET /projects/:id/repository/branches/:branch`.
pub(super) async fn branch(asker: &Asker, name: &str, request: &Request<Bytes>) -> Answer {
    asker.may(Role::Reporter)?;
    let named = asker.revisions.named(Kind::Branch, None).await?;
    let found = named.into_iter().find(|(branch, _)| branch == name);
    let (_, sha) = found.ok_or_else(|| Refusal::not_found("Branch Not Found"))?;
    let commit = found_commit(asker, &sha).await?;
    Ok(Json(json!({
        "name": name,
        "commit": commit_json(&commit, asker, request),
        "merged": false,
        "protected": name == "main",
        "developers_can_push": false,
        "developers_can_merge": false,
        "can_push": true,
        "default": name == "main",
        "web_url": format!("http://{}/{}/-/tree/{name}", wire::host(request.headers()), asker.path),
    }))
    .into_response())
}

/// `GET /projects/:id/repository/tags/:tag_name`.
pub(super) async fn tag(asker: &Asker, name: &str, request: &Request<Bytes>) -> Answer {
    asker.may(Role::Reporter)?;
    let named = asker.revisions.named(Kind::Tag, None).await?;
    let found = named.into_iter().find(|(tag, _)| tag == name);
    let (_, sha) = found.ok_or_else(|| Refusal::not_found("Tag Not Found"))?;
    let commit = found_commit(asker, &sha).await?;
    Ok(Json(json!({
        "name": name,
        "message": "",
        "target": commit.sha,
        "commit": commit_json(&commit, asker, request),
        "release": null,
        "protected": false,
    }))
    .into_response())
}

/// `GET /projects/:id/repository/merge_base?refs[]=..&refs[]=..`.
pub(super) async fn merge_base(asker: &Asker, request: &Request<Bytes>) -> Answer {
    asker.may(Role::Reporter)?;
    let query = Params::of(request)?.query;
    let asked: Vec<&String> = query.iter().filter(|(key, _)| key == "refs[]").map(|(_, value)| value).collect();
    if asked.len() < 2 {
        return Err(Refusal::message(StatusCode::BAD_REQUEST, "Provide at least 2 refs"));
    }
    let mut commits = Vec::new();
    for revision in asked {
        let unknown = || Refusal::message(StatusCode::BAD_REQUEST, format!("Could not find ref: {revision}"));
        commits.push(asker.revisions.resolve(revision).await?.ok_or_else(unknown)?);
    }
    let base = asker.revisions.merge_base(&commits).await?;
    let base = base.ok_or_else(|| Refusal::not_found("Merge Base Not Found"))?;
    commit(asker, &base, request).await
}

async fn found_commit(asker: &Asker, revision: &str) -> Result<Shown, Refusal> {
    asker.may(Role::Reporter)?;
    asker.revisions.commit(revision).await?.ok_or_else(|| Refusal::not_found("Commit Not Found"))
}

fn commit_json(commit: &Shown, asker: &Asker, request: &Request<Bytes>) -> Value {
    let (author, email) = commit.author.split_once(" <").unwrap_or((&commit.author, ""));
    let email = email.trim_end_matches('>');
    json!({
        "id": commit.sha,
        "short_id": commit.sha.chars().take(SHORT_ID_CHARS).collect::<String>(),
        "title": commit.message.lines().next().unwrap_or_default(),
        "message": commit.message,
        "parent_ids": commit.parents,
        "created_at": commit.committed,
        "authored_date": commit.committed,
        "committed_date": commit.committed,
        "author_name": author,
        "author_email": email,
        "committer_name": author,
        "committer_email": email,
        "web_url": format!("http://{}/{}/-/commit/{}", wire::host(request.headers()), asker.path, commit.sha),
    })
}

//! The first page: what runs where, what waits and why, and what to type about it. No script, nothing from elsewhere.
//!
//! It changes nothing: what a person may do is shown as the command that does it. Who has no token is asked for one. What a
//! person opened or looks for stands in the address, so that it stays when the page reads itself again.

mod board;
mod look;

use super::Server;
use super::rendered::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use look::Look;
use maud::{DOCTYPE, Markup, html};

/// How often a page without the daemon's answer asks again, in seconds.
const REFRESH_SECONDS: u32 = 5;
/// How the page looks.
const STYLE: &str = include_str!("../style.css");
/// How long a browser keeps the style: long enough to spare a request at each refresh, short enough after an upgrade.
const STYLE_IS_KEPT: &str = "max-age=300";
/// A browser keeps the page for itself, and asks each time whether it is still the same.
const PAGE_IS_KEPT: &str = "private, no-cache";

/// The style.
pub(super) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, STYLE_IS_KEPT)];
    (headers, STYLE).into_response()
}

/// The page. Without the daemon's answer it says so, and goes on reading itself again.
pub(super) async fn page(State(server): State<Server>, RawQuery(query): RawQuery, asked: HeaderMap) -> Response {
    let look = Look::parse(query.as_deref().unwrap_or_default());
    match server.rendered().await {
        Ok(rendered) => {
            let look = look.known_in(&rendered.status);
            let make = |status: &_| {
                page_of(&look.title(status), &board::board(status, &look), look.refresh()).into_string().into_bytes()
            };
            let body = match look.is_plain() {
                true => rendered.page(make),
                false => Body::new(make(&rendered.status)),
            };
            body.answer(
                &asked,
                &[(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, PAGE_IS_KEPT)],
            )
        }
        Err(refused) => {
            let words = html! { header { h1 { "tagrelay" } } p.alert { (refused.message()) } };
            (StatusCode::SERVICE_UNAVAILABLE, document("tagrelay", &words)).into_response()
        }
    }
}

/// The form that asks for a token.
pub(super) async fn sign_in_form() -> Response {
    sign_in(StatusCode::OK, "")
}

/// The form that asks for a token, and what was wrong with the last one.
pub(super) fn sign_in(status: StatusCode, wrong: &str) -> Response {
    let form = html! {
        header { h1 { "tagrelay" } }
        form.sign-in method="post" action="/sign-in" {
            @if !wrong.is_empty() { p.alert { (wrong) } }
            label { "Your token" input type="password" name="token" autocomplete="current-password" required autofocus; }
            button { "Sign in" }
            p { "It reads for 12 hours, and changes nothing. " code { "server.access" } " of the configuration says who has which token." }
        }
    };
    let mut response = (status, page_of("tagrelay", &form, None)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A page that reads itself again.
fn document(title: &str, body: &Markup) -> Markup {
    page_of(title, body, Some(REFRESH_SECONDS))
}

fn page_of(title: &str, body: &Markup, refresh: Option<u32>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="/style.css";
            }
            body { (body) }
        }
    }
}

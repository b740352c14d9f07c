//! A proxy as it is written: `none`, a URL, or the place where a URL with user and password is found.
//!
//! A secret URL is looked at when it is used.

use crate::config::diagnostic::Problems;
use crate::config::read::Read;
use crate::config::scalar;
use crate::config::schema::named;
use crate::config::secrets::Secret;
use crate::config::settings::ProxySettings;
use crate::config::tree::{Kind, Node};
use serde_json::{Value, json};

impl Read for ProxySettings {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if matches!(node.kind, Kind::Map(_)) {
            return <Secret as Read>::read(node, problems).map(Self::Secret);
        }
        let text = scalar::text(node, "`none` or the URL of a proxy", problems)?;
        if text == "none" {
            return Some(Self::Direct);
        }
        let authority = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let authority = authority.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(rest));
        if text.contains('@') {
            problems.hide(&node.at);
            let help = "write `{ env: NAME }` or `{ file: /path/to/it }`, with the whole URL there";
            problems.add_with_help(&node.at, "a URL has no user or password in it", help);
        } else if authority.is_none_or(str::is_empty) {
            let help = "write `none`, or a URL as in `http://proxy.example.com:3128`";
            problems.add_with_help(&node.at, "expected `none` or the URL of a proxy", help);
        } else {
            return Some(Self::At(text.to_owned()));
        }
        None
    }

    fn schema() -> Value {
        let text = named("`none` or a URL", json!({ "type": "string", "pattern": "^(none|https?://[^@]+)$" }));
        json!({ "anyOf": [text, Secret::schema()] })
    }
}

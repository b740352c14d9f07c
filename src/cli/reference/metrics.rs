//! The metrics, read back from the text that `/metrics` serves.

use super::table::{code, table};
use crate::relay::health::Kind;
use crate::telemetry::metrics::Metrics;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The most values of a label that are listed; where there are more, they are the outside's.
const VALUES_MAX: usize = 20;

/// One metric as it is served.
#[derive(Default)]
struct Served {
    name: String,
    kind: String,
    help: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// The page of metrics.
pub(super) fn page() -> String {
    let troubles: Vec<&'static str> = Kind::ALL.iter().map(|kind| kind.code()).collect();
    let served = read(&Metrics::example(&troubles).encode());
    let mut text = "# Metrics\n\n`GET /metrics` serves OpenMetrics text for Prometheus. Counters end in `_total`; a histogram has \
         `_bucket`, `_count` and `_sum`. Times are in seconds. `docs/operating.md` has rules for alerts.\n\n\
         A metric with labels appears once there is something to say. At most 100 hosts and 1000 policies have a label of \
         their own; the rest is `other`.\n\n"
        .to_owned();
    let rows: Vec<[String; 4]> =
        served.iter().map(|it| [code(&it.scraped()), it.kind.clone(), names(it), it.help.clone()]).collect();
    let _ = writeln!(text, "{}", table(["metric", "type", "labels", "meaning"], &rows));
    let rows: Vec<[String; 3]> = served
        .iter()
        .flat_map(|it| it.labels.iter().map(move |(label, values)| (it.scraped(), label, values)))
        .map(|(metric, label, values)| [code(&metric), code(label), meaning(label, values)])
        .collect();
    let _ = write!(text, "## Values of labels\n\n{}", table(["metric", "label", "values"], &rows));
    text
}

impl Served {
    /// Its name as one asks Prometheus for it.
    fn scraped(&self) -> String {
        match self.kind.as_str() {
            "counter" => format!("{}_total", self.name),
            "info" => format!("{}_info", self.name),
            _ => self.name.clone(),
        }
    }
}

fn names(served: &Served) -> String {
    served.labels.keys().map(|label| code(label)).collect::<Vec<_>>().join(", ")
}

/// What values a label has.
fn meaning(label: &str, values: &BTreeSet<String>) -> String {
    match label {
        "host" => "the host that was asked".to_owned(),
        "policy" => "the name of the policy".to_owned(),
        "environment" => "the name of the environment".to_owned(),
        "status" => "the HTTP status, or `none` where no answer came".to_owned(),
        "code" | "why" => format!("a reason by its name: {}", "[Outcomes](outcomes.md)"),
        "version" => "the version of tagrelay".to_owned(),
        "sender" => format!("the kind of registry, as in {}", "[`server.webhooks`](configuration.md#serverwebhooks)"),
        _ if values.len() <= VALUES_MAX => values.iter().map(|value| code(value)).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

/// Reads OpenMetrics text.
fn read(page: &str) -> Vec<Served> {
    let mut served: Vec<Served> = Vec::new();
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), help) => {
                let help = help.unwrap_or_default().to_owned();
                served.push(Served { name: name.to_owned(), help, ..Served::default() });
            }
            (Some("#"), Some("TYPE"), Some(_), Some(kind)) => {
                if let Some(last) = served.last_mut() {
                    kind.clone_into(&mut last.kind);
                }
            }
            _ => {
                if let (Some(last), Some((_, labels))) = (served.last_mut(), line.split_once('{')) {
                    let labels = labels.rsplit_once('}').map_or("", |(labels, _)| labels);
                    for (label, value) in labels.split("\",").filter_map(|pair| pair.split_once("=\"")) {
                        if label != "le" {
                            let value = value.trim_end_matches('"').to_owned();
                            last.labels.entry(label.to_owned()).or_default().insert(value);
                        }
                    }
                }
            }
        }
    }
    served
}

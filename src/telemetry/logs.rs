//! Logs: one line for each event, on standard error, as text or JSON, stamped in UTC (RFC 3339).
//!
//! The fields, the same everywhere. An event carries those that it knows; a line without a `policy.name` is about no
//! policy alone.
//!
//! | field | meaning |
//! |---|---|
//! | `policy.name`, `environment.name` | what it is about |
//! | `release.id`, `release.tags` | the release's short hash, and its tags for people |
//! | `outcome.code`, `outcome.why` | a decision: the stable name of its reason, and the sentence |
//! | `rollout.id` | `<journal id>-<sequence>`, as in `TAGRELAY_ROLLOUT` |
//! | `journal.sequence` | an entry |
//! | `image.repository`, `image.tag`, `image.digest` | a build |
//! | `git.repository`, `git.branch`, `git.commit` | a commit of the GitOps repository |
//! | `gitlab.project`, `gitlab.environment`, `gitlab.deployment` | a report |
//! | `http.method`, `http.url`, `http.status` | a request, without its query and without user names or passwords |
//! | `duration.ms` | how long it took, in milliseconds |
//! | `retry.at` | when it is tried again (RFC 3339) |
//! | `error` | what went wrong and what to do |

use std::fmt;
use std::io::IsTerminal as _;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people: time, level, module, message, fields.
    #[default]
    Text,
    /// For machines: one JSON object.
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is none.
    #[error("`{filter}` is no log filter: {why}; write it like `info` or `info,tagrelay::clients=debug`")]
    Filter {
        /// As it was written.
        filter: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something in this process logs already.
    #[error("logging has begun already")]
    Begun,
}

/// Begins to log on standard error what `filter` lets through (`info`, `info,tagrelay::clients=debug`), coloured where
/// that is a terminal and `NO_COLOR` is not set.
///
/// # Errors
/// `Filter` where it is none; `Begun` on a second call.
pub fn begin(filter: &str, format: Format) -> Result<(), LogError> {
    subscriber(filter, format, std::io::stderr, std::io::stderr().is_terminal())?
        .try_init()
        .map_err(|_| LogError::Begun)
}

fn subscriber<W>(
    filter: &str,
    format: Format,
    writer: W,
    is_terminal: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| LogError::Filter { filter: filter.to_owned(), why: error.to_string() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_timer(SystemTime).with_writer(writer);
    // Left alone, the library asks NO_COLOR itself.
    let lines = if is_terminal { lines } else { lines.with_ansi(false) };
    Ok(match format {
        Format::Text => Box::new(lines.fmt_fields(Sentence).finish()),
        Format::Json => Box::new(lines.json().flatten_event(true).with_current_span(false).finish()),
    })
}

/// The message and the fields of a line for people. An `error` that the message says already is left out.
struct Sentence;

impl<'w> FormatFields<'w> for Sentence {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line::default();
        fields.record(&mut line);
        write!(writer, "{}", line.message)?;
        for (name, value) in
            line.fields.iter().filter(|(name, value)| *name != "error" || !line.message.contains(value))
        {
            write!(writer, " {name}={value}")?;
        }
        Ok(())
    }
}

/// The fields of one line, without anything that a terminal would obey.
#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        for c in format!("{value:?}").chars() {
            if c.is_control() {
                text.extend(c.escape_debug());
            } else {
                text.push(c);
            }
        }
        match field.name() {
            "message" => self.message = text,
            name => self.fields.push((name, text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("lock").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(filter: &str, format: Format, log: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(filter, format, move || writer.clone(), false).expect("filter");
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(page.0.lock().expect("lock").clone()).expect("text")
    }

    #[test]
    fn a_line_has_a_stamp_in_utc_its_fields_and_no_second_line() {
        let log = || {
            tracing::info!(policy.name = "shop", duration.ms = 12, "written\u{1b}[31m");
            tracing::debug!("not asked for");
        };
        let text = lines("info", Format::Text, log);
        assert!(text.contains(r#"policy.name="shop" duration.ms=12"#), "{text}");
        assert_eq!((text.lines().count(), text.contains('\u{1b}')), (1, false), "{text}");
        let stamp = text.split(' ').next().expect("stamp");
        assert!(stamp.ends_with('Z') && stamp.parse::<jiff::Timestamp>().is_ok(), "{stamp}");

        let json: serde_json::Value = serde_json::from_str(&lines("info", Format::Json, log)).expect("one object");
        assert_eq!((&json["policy.name"], &json["duration.ms"]), (&"shop".into(), &12.into()));
        assert_eq!((&json["level"], json["timestamp"].is_string()), (&"INFO".into(), true));
    }

    #[test]
    fn an_error_is_said_once() {
        let log = || {
            tracing::warn!(repository.name = "shop", error = %"no route", "shop could not be read: no route");
            tracing::warn!(error = %"no route", "the outbox could not be read");
        };
        let text = lines("info", Format::Text, log);
        assert!(text.contains("shop could not be read: no route repository.name=\"shop\"\n"), "{text}");
        assert!(text.contains("the outbox could not be read error=no route"), "{text}");
        let json = lines("info", Format::Json, log);
        assert_eq!(json.matches(r#""error":"no route""#).count(), 2, "{json}");
    }

    #[test]
    fn a_filter_is_read_whole_or_refused() {
        let log = || {
            tracing::debug!(target: "tagrelay::clients", "one");
            tracing::debug!("two");
        };
        let text = lines("info,tagrelay::clients=debug", Format::Text, log);
        assert!(text.contains("one") && !text.contains("two"), "{text}");
        let refused =
            subscriber("tagrelay=loud", Format::Text, std::io::sink, false).map(|_| ()).expect_err("no filter");
        assert!(refused.to_string().starts_with("`tagrelay=loud` is no log filter: "), "{refused}");
    }
}

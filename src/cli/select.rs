//! `tagrelay select`: tags on standard input, the chosen one on standard output.

use super::{Exit, Wrong, print};
use crate::config::pattern;
use crate::model::policy::{Extreme, Newest, Select as Rule, Strategy};
use crate::model::{Span, Tag};
use crate::relay::select;
use clap::Args;
use std::io::Read as _;

/// The most input that is read: a million tags fit.
const INPUT_BYTES_MAX: u64 = 256 << 20;

/// How to choose: one strategy, and filters.
#[derive(Debug, Args)]
pub(super) struct Select {
    #[command(flatten)]
    by: By,
    /// A regular expression that a tag must match (searched), or glob:PATTERN.
    #[arg(long = "match", value_name = "R", allow_hyphen_values = true)]
    matches: Option<String>,
    /// What is compared, from the groups of --match, e.g. '$1'.
    #[arg(long, value_name = "T", requires = "matches", allow_hyphen_values = true)]
    extract: Option<String>,
    /// What a tag must not match; may be given more than once.
    #[arg(long, value_name = "R", allow_hyphen_values = true)]
    ignore: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What the best tag is: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct By {
    /// The greatest version inside a range, e.g. '~1.2' or '>=1 <2 || 3.x'.
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    semver: Option<String>,
    /// The youngest: lines are a tag, a tab and an RFC 3339 time.
    #[arg(long)]
    newest: bool,
    /// The largest or smallest number.
    #[arg(long, value_name = "WHICH")]
    numeric: Option<Number>,
    /// The last or first in byte order.
    #[arg(long, value_name = "WHICH")]
    alphabetical: Option<Place>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Number {
    Largest,
    Smallest,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Place {
    Last,
    First,
}

impl Select {
    /// Chooses.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let rule = self.rule()?;
        let picked = select::pick(&rule, input()?.lines()).map_err(Wrong::of)?;
        let why = picked.tag.is_none().then(|| picked.tally.to_string());
        match &picked.tag {
            _ if self.json => {
                print::json(&serde_json::json!({ "tag": picked.tag.as_ref().map(Tag::as_str), "why": why }))?;
            }
            Some(tag) => print::line(tag.as_str())?,
            None => {
                print::complain(&format!("no tag passes the filters and the strategy: {}", why.unwrap_or_default()));
            }
        }
        Ok(if picked.tag.is_some() { Exit::Done } else { Exit::Nothing })
    }

    fn rule(&self) -> anyhow::Result<Rule> {
        let compiled = |text: &String| pattern(text).map_err(Wrong::because);
        let rule = Rule {
            strategy: self.by.strategy()?,
            matches: self.matches.as_ref().map(compiled).transpose()?,
            extract: self.extract.clone(),
            ignore: self.ignore.iter().map(compiled).collect::<Result<_, _>>()?,
            branch: None,
            labels: Vec::new(),
            min_age: Span::ZERO,
            allow_downgrade: false,
        };
        select::check(&rule).map_err(Wrong::of)?;
        Ok(rule)
    }
}

impl By {
    fn strategy(&self) -> anyhow::Result<Strategy> {
        Ok(match self {
            Self { semver: Some(range), .. } => Strategy::Semver(range.clone()),
            Self { newest: true, .. } => Strategy::Newest(Newest::Pushed),
            Self { numeric: Some(Number::Largest), .. } => Strategy::Numeric(Extreme::Largest),
            Self { numeric: Some(Number::Smallest), .. } => Strategy::Numeric(Extreme::Smallest),
            Self { alphabetical: Some(Place::Last), .. } => Strategy::Alphabetical(Extreme::Largest),
            Self { alphabetical: Some(Place::First), .. } => Strategy::Alphabetical(Extreme::Smallest),
            Self { semver: None, newest: false, numeric: None, alphabetical: None } => {
                return Err(Wrong::because("name one strategy"));
            }
        })
    }
}

/// Standard input, whole: a choice among a part of the tags would be a wrong one.
fn input() -> anyhow::Result<String> {
    let mut input = String::new();
    let n_read = std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_string(&mut input)?;
    if n_read as u64 > INPUT_BYTES_MAX {
        return Err(Wrong::because(format!("standard input is larger than {INPUT_BYTES_MAX} bytes")));
    }
    Ok(input)
}

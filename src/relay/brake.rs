//! HOLD files: which files hold, what each of them holds, and what its bytes say.
//!
//! A brake fails shut. A name that fits nothing holds everything beside it, and a text that cannot be read is no reason
//! to go on.

use crate::model::{EnvironmentName, PolicyName, Why, text};
use std::collections::{BTreeMap, BTreeSet};

/// The word that the names of HOLD files begin with, in any case.
const WORD: &str = "hold";
/// Endings that editors add to a name and that say nothing.
const ENDINGS: [&str; 2] = [".md", ".txt"];
/// How many files are told one by one where many hold the same.
const TOLD_MAX: usize = 10;
/// How many bytes of a HOLD file are looked at: its reason is one line.
pub const TEXT_BYTES_MAX: usize = 4096;

/// A HOLD file as it was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldFile {
    /// The file's name, without its directory.
    pub name: String,
    /// Its text, or why that cannot be read.
    pub reason: String,
    /// Whether it cannot be read.
    pub is_unread: bool,
    /// Who committed it.
    pub who: String,
}

/// Whether a file of this name, beside the policies, is a HOLD file.
///
/// `HOLD` and whatever follows it after a dot, in any case. `HOLD-prod` and its like are misspelt, and meant all the same.
#[must_use]
pub fn is_hold_file(name: &str) -> bool {
    let Some((word, rest)) = name.split_at_checked(WORD.len()) else { return false };
    let is_policy = [".yaml", ".yml"].iter().any(|ending| rest.ends_with(ending)) && word != "HOLD";
    match rest.chars().next() {
        None => word.eq_ignore_ascii_case(WORD),
        Some('.') => word.eq_ignore_ascii_case(WORD) && !is_policy,
        Some(next) => word == "HOLD" && !next.is_alphanumeric(),
    }
}

/// What HOLD files hold, among the policies beside them.
#[derive(Debug, Clone, Default)]
pub struct Brakes {
    /// What holds every policy.
    all: Vec<Why>,
    /// What holds a policy, an environment, or one environment of one policy (`policy.environment`), by that name.
    named: BTreeMap<String, Vec<Why>>,
    /// The files whose name fits nothing.
    misnamed: Vec<String>,
}

impl Brakes {
    /// Reads the names of these files against the environments that stand beside them.
    #[must_use]
    pub fn new<'a>(
        files: &[HoldFile],
        beside: impl IntoIterator<Item = (&'a PolicyName, &'a EnvironmentName)>,
    ) -> Self {
        let mut known = BTreeSet::new();
        if files.iter().any(|file| named(&file.name).is_some()) {
            for (policy, environment) in beside {
                known.extend([policy.to_string(), environment.to_string(), format!("{policy}.{environment}")]);
            }
        }
        let mut brakes = Self::default();
        let mut n_all = 0;
        for file in files {
            let fits = named(&file.name).map(|rest| fitting(&rest, |name| known.contains(name)));
            match fits {
                Some(Some(name)) => {
                    let reasons = brakes.named.entry(name).or_default();
                    if reasons.len() < TOLD_MAX {
                        reasons.push(held(file, None));
                    }
                }
                None => add(&mut brakes.all, &mut n_all, held(file, None)),
                Some(None) => {
                    let why = "its name fits no policy and no environment here, so it holds all";
                    add(&mut brakes.all, &mut n_all, held(file, Some(why)));
                    brakes.misnamed.push(text::shown(&file.name));
                }
            }
        }
        brakes
    }

    /// What holds an environment.
    pub fn on(&self, policy: &PolicyName, environment: &EnvironmentName) -> impl Iterator<Item = &Why> {
        let names = [policy.to_string(), environment.to_string(), format!("{policy}.{environment}")];
        let named = names.into_iter().enumerate().filter_map(|(at, name)| {
            // A policy may have the name of an environment: what holds both is told once.
            (at != 1 || environment.as_str() != policy.as_str()).then(|| self.named.get(&name))?
        });
        self.all.iter().chain(named.flatten())
    }

    /// The files whose name fits nothing.
    #[must_use]
    pub fn misnamed(&self) -> &[String] {
        &self.misnamed
    }
}

fn add(all: &mut Vec<Why>, n_all: &mut usize, why: Why) {
    *n_all += 1;
    if *n_all <= TOLD_MAX {
        all.push(why);
    }
}

/// What a HOLD file's name says after the word, in lower case; none: it holds everything.
fn named(name: &str) -> Option<String> {
    let rest = name.get(WORD.len()..).unwrap_or_default().to_lowercase();
    (!rest.is_empty() && !ENDINGS.contains(&rest.as_str())).then_some(rest)
}

/// The name that the rest of a file's name fits: as it stands, else without an ending that an editor added.
fn fitting(rest: &str, is_known: impl Fn(&str) -> bool) -> Option<String> {
    let rest = rest.strip_prefix('.')?;
    let without = ENDINGS.iter().filter_map(|ending| rest.strip_suffix(ending));
    std::iter::once(rest).chain(without).find(|name| is_known(name)).map(str::to_owned)
}

fn held(file: &HoldFile, remark: Option<&str>) -> Why {
    let reason = match remark {
        Some(remark) => format!("{} ({remark})", file.reason),
        None => file.reason.clone(),
    };
    Why::HeldByFile { file: text::shown(&file.name), who: file.who.clone(), reason }
}

/// What the bytes of a HOLD file say, in whatever encoding an editor or shell wrote them: one bounded line.
#[must_use]
pub fn reason(bytes: &[u8]) -> String {
    let said = text::shown(&decoded(bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes)));
    if said.is_empty() { "the file gives no reason".to_owned() } else { said }
}

fn decoded(bytes: &[u8]) -> String {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => from_8_bits(rest),
        [0xff, 0xfe, rest @ ..] => from_16_bits(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => from_16_bits(rest, u16::from_be_bytes),
        // Text of western letters in 16 bits has a zero in every other byte.
        [_, 0, ..] => from_16_bits(bytes, u16::from_le_bytes),
        [0, _, ..] => from_16_bits(bytes, u16::from_be_bytes),
        _ => from_8_bits(bytes),
    }
}

/// UTF-8, else Latin-1, in which every byte is a letter.
fn from_8_bits(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // A long text may be cut in the middle of a letter.
        Err(error) if error.error_len().is_none() && bytes.len() + 4 > TEXT_BYTES_MAX => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn from_16_bits(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> HoldFile {
        HoldFile { name: name.to_owned(), reason: "stop".to_owned(), is_unread: false, who: "Bob".to_owned() }
    }

    #[test]
    fn the_names_of_hold_files() {
        let hold = [
            "HOLD",
            "hold",
            "Hold.md",
            "HOLD.txt",
            "HOLD.prod",
            "hold.Shop.Prod",
            "HOLD.production",
            "HOLD.prod.txt",
            "HOLD.yaml",
            "HOLD-prod",
            "HOLD_prod",
            "HOLD prod",
            "HOLD~",
            "HOLD.",
        ];
        for name in hold {
            assert!(is_hold_file(name), "{name}");
        }
        for name in
            ["HOLDING", "holdings.yaml", "hold-shop.yaml", "hold.yaml", "shop.yaml", "HOL", "", "é.HOLD", "ho\u{301}ld"]
        {
            assert!(!is_hold_file(name), "{name}");
        }
    }

    #[test]
    fn what_a_hold_file_holds() {
        let names = [("shop", "dev"), ("shop", "prod"), ("web", "prod"), ("web", "web"), ("web", "md")];
        let names: Vec<(PolicyName, EnvironmentName)> = names
            .map(|(p, e)| (PolicyName::parse(p).expect("a name"), EnvironmentName::parse(e).expect("a name")))
            .into();
        let check = |name: &str, held: &[&str], misnamed: bool| {
            let brakes = Brakes::new(&[file(name)], names.iter().map(|(p, e)| (p, e)));
            let on: Vec<String> = names
                .iter()
                .filter(|(p, e)| {
                    let n = brakes.on(p, e).count();
                    assert!(n <= 1, "{name} is told {n} times of {p}/{e}");
                    n == 1
                })
                .map(|(p, e)| format!("{p}/{e}"))
                .collect();
            let all = ["shop/dev", "shop/prod", "web/prod", "web/web", "web/md"];
            assert_eq!(on, if held == ["*"] { &all[..] } else { held }, "{name}");
            assert_eq!(!brakes.misnamed().is_empty(), misnamed, "{name}");
        };
        check("HOLD", &["*"], false);
        check("hold.TXT", &["*"], false);
        check("HOLD.prod", &["shop/prod", "web/prod"], false);
        check("Hold.PROD", &["shop/prod", "web/prod"], false);
        check("HOLD.prod.md", &["shop/prod", "web/prod"], false);
        check("HOLD.shop", &["shop/dev", "shop/prod"], false);
        check("HOLD.shop.prod", &["shop/prod"], false);
        check("HOLD.shop.prod.txt", &["shop/prod"], false);
        check("HOLD.web", &["web/prod", "web/web", "web/md"], false);
        check("HOLD.web.md", &["web/md"], false);
        check("HOLD.production", &["*"], true);
        check("HOLD.prod.shop", &["*"], true);
        check("HOLD-prod", &["*"], true);
        check("HOLD.", &["*"], true);
        let many: Vec<HoldFile> = (0..5000).map(|n| file(&format!("HOLD.no-{n}"))).collect();
        let brakes = Brakes::new(&many, names.iter().map(|(p, e)| (p, e)));
        assert_eq!(brakes.on(&names[0].0, &names[0].1).count(), TOLD_MAX);
    }

    #[test]
    fn a_name_that_fits_nothing_says_so() {
        let brakes = Brakes::new(&[file("HOLD.production")], []);
        let (policy, environment) = (PolicyName::parse("shop"), EnvironmentName::parse("prod"));
        let (policy, environment) = (policy.expect("a name"), environment.expect("a name"));
        let said: Vec<String> = brakes.on(&policy, &environment).map(Why::to_string).collect();
        let expected = "held by the file HOLD.production beside the policies, which Bob committed: stop (its name fits no policy and no environment here, so it holds all)";
        assert_eq!(said, [expected]);
    }

    #[test]
    fn a_reason_in_any_encoding() {
        let wide = |text: &str, to: fn(u16) -> [u8; 2]| -> Vec<u8> { text.encode_utf16().flat_map(to).collect() };
        let with = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        let check = |bytes: &[u8], expected: &str| assert_eq!(reason(bytes), expected, "{bytes:?}");
        check(b"stop\r\nnow\n", "stop  now");
        check(&with(b"\xef\xbb\xbf", "Größe".as_bytes()), "Größe");
        check(&with(b"\xff\xfe", &wide("stop é\r\n", u16::to_le_bytes)), "stop é");
        check(&with(b"\xfe\xff", &wide("stop", u16::to_be_bytes)), "stop");
        check(&wide("stop", u16::to_le_bytes), "stop");
        check(&wide("stop", u16::to_be_bytes), "stop");
        check(b"caf\xe9", "café");
        check(b"", "the file gives no reason");
        check(b"\xff\xfe", "the file gives no reason");
        check(&[0; 9], "the file gives no reason");
        let long = "é".repeat(TEXT_BYTES_MAX);
        assert_eq!(reason(with(b"x", long.as_bytes()).as_slice()).chars().count(), 201);
    }
}

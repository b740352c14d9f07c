//! Where an ECR host is: its account, its region, and where its API answers.
//!
//! Source: "Amazon ECR endpoints and quotas" and "Making requests over dual-stack endpoints" of Amazon's documentation.

/// The parts of an ECR host's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The account that owns the registry.
    pub account: String,
    /// The region.
    pub region: String,
    /// The host of the API.
    pub api: String,
}

/// How long an account's number is.
pub(super) const ACCOUNT_DIGITS: usize = 12;
/// The partitions: what their hosts end with, over IPv4 alone and over both.
pub(super) const SUFFIXES: [(&str, Option<(&str, &str)>); 7] = [
    ("amazonaws.com", Some(("on.aws", "api.aws"))),
    ("amazonaws.com.cn", Some(("on.amazonwebservices.com.cn", "api.amazonwebservices.com.cn"))),
    ("amazonaws.eu", None),
    ("c2s.ic.gov", None),
    ("sc2s.sgov.gov", None),
    ("cloud.adc-e.uk", None),
    ("csp.hci.ic.gov", None),
];

impl Place {
    /// The place of a host; none where it is no ECR host.
    #[must_use]
    pub fn of(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        if account.len() != ACCOUNT_DIGITS || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        SUFFIXES.iter().find_map(|(v4, both)| {
            let v4 = [("dkr.ecr.", "api.ecr", *v4, *v4), ("dkr.ecr-fips.", "ecr-fips", *v4, *v4)];
            let both = both
                .map(|(hosts, apis)| [("dkr-ecr.", "ecr", hosts, apis), ("dkr-ecr-fips.", "ecr-fips", hosts, apis)]);
            v4.into_iter().chain(both.into_iter().flatten()).find_map(|(prefix, api, hosts, apis)| {
                let region = rest.strip_prefix(prefix)?.strip_suffix(hosts)?.strip_suffix('.')?;
                let named = !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                let place = || Self {
                    account: account.to_owned(),
                    region: region.to_owned(),
                    api: format!("{api}.{region}.{apis}"),
                };
                named.then(place)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let check = |host: &str, expected: Option<(&str, &str)>| {
            let place = Place::of(host);
            let found = place.as_ref().map(|place| (place.region.as_str(), place.api.as_str()));
            assert_eq!(found, expected, "{host}");
        };
        let of = |rest: &str| format!("123456789012.{rest}");
        check(&of("dkr.ecr.eu-west-1.amazonaws.com"), Some(("eu-west-1", "api.ecr.eu-west-1.amazonaws.com")));
        check(
            &of("dkr.ecr-fips.us-gov-west-1.amazonaws.com"),
            Some(("us-gov-west-1", "ecr-fips.us-gov-west-1.amazonaws.com")),
        );
        check(&of("dkr-ecr.eu-west-1.on.aws"), Some(("eu-west-1", "ecr.eu-west-1.api.aws")));
        check(&of("dkr-ecr-fips.us-east-1.on.aws"), Some(("us-east-1", "ecr-fips.us-east-1.api.aws")));
        check(&of("dkr.ecr.cn-north-1.amazonaws.com.cn"), Some(("cn-north-1", "api.ecr.cn-north-1.amazonaws.com.cn")));
        check(
            &of("dkr-ecr.cn-north-1.on.amazonwebservices.com.cn"),
            Some(("cn-north-1", "ecr.cn-north-1.api.amazonwebservices.com.cn")),
        );
        check(
            &of("dkr.ecr.eusc-de-east-1.amazonaws.eu"),
            Some(("eusc-de-east-1", "api.ecr.eusc-de-east-1.amazonaws.eu")),
        );
        check(&of("dkr.ecr.us-iso-east-1.c2s.ic.gov"), Some(("us-iso-east-1", "api.ecr.us-iso-east-1.c2s.ic.gov")));
        assert_eq!(Place::of(&of("dkr.ecr.eu-west-1.amazonaws.com")).expect("one").account, "123456789012");
        for none in [
            "public.ecr.aws",
            "12345.dkr.ecr.eu-west-1.amazonaws.com",
            "12345678901x.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr..amazonaws.com",
            "123456789012.dkr.ecr.evil.example/.amazonaws.com",
            "123456789012.dkr.ecr.a.b.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.eu-west-1.on.aws",
        ] {
            check(none, None);
        }
    }
}

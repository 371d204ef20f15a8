//! Regions of Genesys Cloud ("Genesys Cloud regions", developer center): the AWS name of each, and its domain.
//!
//! `login.{domain}`, `api.{domain}` and `streaming.{domain}` are its hosts. The list grows, so a domain that is not in it is
//! taken as it is; an AWS name that is not in it leads nowhere.

use super::keys::distance;
use super::url::is_host_name;

/// Those that are known.
const REGIONS: [(&str, &str); 18] = [
    ("us-east-1", "mypurecloud.com"),
    ("us-east-2", "use2.us-gov-pure.cloud"),
    ("us-west-2", "usw2.pure.cloud"),
    ("ca-central-1", "cac1.pure.cloud"),
    ("sa-east-1", "sae1.pure.cloud"),
    ("mx-central-1", "mxc1.pure.cloud"),
    ("eu-west-1", "mypurecloud.ie"),
    ("eu-west-2", "euw2.pure.cloud"),
    ("eu-central-1", "mypurecloud.de"),
    ("eu-central-2", "euc2.pure.cloud"),
    ("ap-south-1", "aps1.pure.cloud"),
    ("ap-northeast-1", "mypurecloud.jp"),
    ("ap-northeast-2", "apne2.pure.cloud"),
    ("ap-northeast-3", "apne3.pure.cloud"),
    ("ap-southeast-1", "apse1.pure.cloud"),
    ("ap-southeast-2", "mypurecloud.com.au"),
    ("me-central-1", "mec1.pure.cloud"),
    ("eusc-de-east-1", "edee1.eusc-pure.cloud"),
];

/// With these and a hyphen the names of AWS regions begin.
pub(super) const AREAS: [&str; 11] = ["us", "eu", "eusc", "ca", "sa", "mx", "ap", "me", "af", "il", "cn"];

/// Hosts that people copy from their browser.
pub(super) const HOSTS: [&str; 4] = ["api", "apps", "login", "streaming"];

/// The AWS names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|(name, _)| *name)
}

/// The domains.
pub(super) fn domains() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|(_, domain)| *domain)
}

/// The domain that a region's name or domain stands for, or what is wrong with it.
pub(super) fn domain(text: &str) -> Result<&str, &'static str> {
    let known = |(name, domain): &&(&str, &str)| name.eq_ignore_ascii_case(text) || domain.eq_ignore_ascii_case(text);
    if let Some((_, domain)) = REGIONS.iter().find(known) {
        return Ok(domain);
    }
    match () {
        () if !is_host_name(text) => Err("it is no host name"),
        () if is_numeric(text) => Err("it ends like an address, and hosts are derived from it"),
        () if is_host_of_a_region(text) => Err("it is one of the region's hosts, not its domain"),
        () if looks_like_aws(text) => Err("it looks like the name of an AWS region, and none that is known here"),
        () => Ok(text),
    }
}

/// The name or domain that was most likely meant.
pub(super) fn nearest(text: &str) -> &'static str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default().trim().to_ascii_lowercase();
    let short: String = without_host(&host).unwrap_or(&host).replace(['_', ' '], "-").chars().take(64).collect();
    names().chain(domains()).min_by_key(|known| distance(known, &short)).unwrap_or_default()
}

/// Whether the last label is a number, as no top-level domain is (RFC 3696 2).
fn is_numeric(text: &str) -> bool {
    text.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_host_of_a_region(text: &str) -> bool {
    without_host(text).is_some_and(|rest| domains().any(|domain| domain.eq_ignore_ascii_case(rest)))
}

fn without_host(text: &str) -> Option<&str> {
    let (host, rest) = text.split_once('.')?;
    HOSTS.iter().any(|known| known.eq_ignore_ascii_case(host)).then_some(rest)
}

/// One label such as `eu-central-9`: an area and more, or words and a number.
fn looks_like_aws(text: &str) -> bool {
    let Some((area, rest)) = text.split_once('-').filter(|_| !text.contains('.')) else { return false };
    let letters = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let counted = |(words, number): (&str, &str)| {
        (1..=2).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && words.split('-').all(letters)
    };
    let is_area = AREAS.iter().any(|known| known.eq_ignore_ascii_case(area));
    is_area || (2..=4).contains(&area.len()) && letters(area) && rest.rsplit_once('-').is_some_and(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_domains_of_the_table_in_any_case() {
        for (name, wanted) in REGIONS {
            assert_eq!([name, wanted].map(domain), [Ok(wanted); 2]);
            assert_eq!([name, wanted].map(|text| domain(&text.to_uppercase()).unwrap().to_owned()), [wanted; 2]);
            assert!(is_host_name(wanted) && looks_like_aws(name) && !looks_like_aws(wanted), "{name}");
        }
    }

    #[test]
    fn other_domains_are_taken_as_they_are() {
        for text in
            ["afs1.pure.cloud", "genesys.example", "h", "localhost", "a1.b2", "login.genesys.example", "my-host"]
        {
            assert_eq!(domain(text), Ok(text));
        }
    }

    #[test]
    fn what_leads_nowhere_is_refused_and_the_nearest_named() {
        for (wrong, right) in [
            ("eu-central-3", "eu-central-1"),
            ("eu-centrall-1", "eu-central-1"),
            ("EU-WEST-9", "eu-west-1"),
            ("us-east", "us-east-1"),
            ("zz-north-1", "ap-south-1"),
            ("eu_central_1", "eu-central-1"),
            ("https://api.mypurecloud.de/oauth/token", "mypurecloud.de"),
            ("mypurecloud.ie:443", "mypurecloud.ie"),
            ("mypurecloud.jp/", "mypurecloud.jp"),
            (" usw2.pure.cloud", "usw2.pure.cloud"),
            ("login.mypurecloud.com.au", "mypurecloud.com.au"),
            ("Apps.Euw2.Pure.Cloud", "euw2.pure.cloud"),
            ("mypurecloud.com.", "mypurecloud.com"),
        ] {
            assert!(domain(wrong).is_err(), "{wrong}");
            assert_eq!(nearest(wrong), right, "{wrong}");
        }
        for wrong in ["", "127.0.0.1", "10.1", "[::1]", "::1", "user@mypurecloud.com", "a b", "ä.example", "a\0b"] {
            assert!(domain(wrong).is_err(), "{wrong}");
            nearest(wrong);
        }
    }
}

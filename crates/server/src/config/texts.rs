// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How settings that are more than a word are written.

use identity::Network;
use serde::{Deserialize, Deserializer, Serializer, de};

use super::RouteLimit;

impl std::str::FromStr for RouteLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is no limit of a route: write `POST /api/v1/signup/start 2/10`");
        let [method, path, rate] =
            <[&str; 3]>::try_from(text.split_whitespace().collect::<Vec<_>>()).map_err(|_| form())?;
        let (per_second, burst) = rate.split_once('/').ok_or_else(form)?;
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(form);
        Ok(RouteLimit {
            route: format!("{} {path}", method.to_uppercase()),
            per_second: number(per_second)?,
            burst: number(burst)?,
        })
    }
}

impl std::fmt::Display for RouteLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.route, self.per_second, self.burst)
    }
}

pub(super) fn write_route_limits<S: Serializer>(
    limits: &[RouteLimit],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(limits.iter().map(RouteLimit::to_string))
}

pub(super) fn read_route_limits<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<RouteLimit>, D::Error> {
    let texts = read_texts(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
}

pub(super) fn write_networks<S: Serializer>(networks: &[Network], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(networks.iter().map(Network::to_string))
}

pub(super) fn read_networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    let texts = read_texts(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(|error| de::Error::custom(format!("{text}: {error}"))))
        .collect()
}

/// A list, or one text with commas as environment variables have it.
pub(super) fn read_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    let texts = match Texts::deserialize(deserializer)? {
        Texts::One(text) => text.split(',').map(|text| text.trim().to_owned()).collect(),
        Texts::Many(texts) => texts,
    };
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_a_route_says_how_many_and_how_many_at_once() {
        let limit: RouteLimit = "post /api/v1/signup/start 2/10".parse().unwrap();
        assert_eq!(limit.to_string(), "POST /api/v1/signup/start 2/10");
        assert_eq!((limit.per_second, limit.burst), (2, 10));
        for bad in ["", "POST /a", "POST /a 2", "POST /a 0/1", "POST /a 1/0", "POST /a x/1", "POST /a 1/2 3"]
        {
            assert!(bad.parse::<RouteLimit>().unwrap_err().contains("2/10"), "{bad}");
        }
    }
}

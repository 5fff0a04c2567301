//! The parameters of a request: from the URL and from a posted form, times and durations as Prometheus reads them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Url;

use crate::lab::promql::QueryError;

/// Decoded pairs, posted ones first, as Go's `FormValue` prefers them.
pub(in crate::lab) struct Form(Vec<(String, String)>);

impl Form {
    pub(in crate::lab) fn read(url: Option<&str>, body: &[u8]) -> Self {
        let posted = std::str::from_utf8(body).unwrap_or_default();
        Self([posted, url.unwrap_or_default()].into_iter().flat_map(decode).collect())
    }

    /// By name; of several of one name the last.
    pub(in crate::lab) fn by_name(self) -> BTreeMap<String, String> {
        self.0.into_iter().collect()
    }

    pub(in crate::lab) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    pub(in crate::lab) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A moment in milliseconds: seconds since the epoch with fraction, or RFC 3339.
    pub(in crate::lab) fn time(&self, name: &str) -> Result<Option<i64>, QueryError> {
        self.get(name).filter(|text| !text.is_empty()).map(|text| moment(name, text)).transpose()
    }

    pub(in crate::lab) fn needed_time(&self, name: &str) -> Result<i64, QueryError> {
        moment(name, self.get(name).unwrap_or_default())
    }

    /// A duration in milliseconds: seconds with fraction, or `1h30m`.
    pub(in crate::lab) fn duration(&self, name: &str) -> Result<i64, QueryError> {
        let text = self.get(name).unwrap_or_default();
        if let Ok(seconds) = text.parse::<f64>()
            && seconds.is_finite()
        {
            return Ok((seconds * 1e3) as i64);
        }
        promql_parser::util::parse_duration(text)
            .map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
            .map_err(|_| refused(name, text, "duration"))
    }
}

/// The URL parser also accepts what people type into curl without escaping it.
fn decode(text: &str) -> Vec<(String, String)> {
    let Ok(mut url) = Url::parse("http://form/") else { return Vec::new() };
    url.set_query(Some(text));
    url.query_pairs().into_owned().collect()
}

fn moment(name: &str, text: &str) -> Result<i64, QueryError> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok((seconds * 1e3).round() as i64);
    }
    let parsed = text.parse::<Timestamp>();
    parsed.map(Timestamp::as_millisecond).map_err(|_| refused(name, text, "timestamp"))
}

fn refused(name: &str, text: &str, kind: &str) -> QueryError {
    QueryError::BadData(format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid {kind}"))
}

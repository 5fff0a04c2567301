//! What services can be asked, by the protocol they speak. What reads and what changes is kept apart here.

use serde_json::Value;

use super::TRIES;
use super::explain::{AwsError, AwsTrouble};
use super::signed::{Prepared, Signed, Words, path};
use super::xml::Xml;

/// A service of the query protocol.
#[derive(Clone)]
pub struct Query(pub(super) Signed);

/// A service that speaks JSON.
#[derive(Clone)]
pub struct Json(pub(super) Signed);

/// A service that speaks JSON at paths.
#[derive(Clone)]
pub struct Rest(pub(super) Signed);

/// S3.
#[derive(Clone)]
pub struct Buckets(pub(super) Signed);

/// Names and values of a query.
pub fn words(pairs: &[(&str, &str)]) -> Words {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Query {
    /// What a `Describe…` answers.
    pub async fn describe(&self, action: &str, words: Words) -> Result<Xml, AwsError> {
        only(&["Describe"], action)?;
        self.ask(action, words, TRIES).await
    }

    /// What a list has that fits, page after page; a page may call the next one's marker `NextMarker`.
    pub async fn seek<R>(
        &self,
        action: &str,
        words: Words,
        fits: impl Fn(&Xml) -> Option<R>,
    ) -> Result<Option<R>, AwsError> {
        let mut asked = words.clone();
        loop {
            let page = self.describe(action, asked).await?;
            match (fits(&page), page.some("Marker").or(page.some("NextMarker"))) {
                (None, Some(marker)) => {
                    asked = words.clone();
                    asked.push(("Marker".into(), marker.to_owned()));
                }
                (found, _) => return Ok(found),
            }
        }
    }

    /// Changes something; sent once.
    pub async fn change(&self, action: &str, words: Words) -> Result<Xml, AwsError> {
        self.ask(action, words, 1).await
    }

    /// The same at EC2, which with `dry` only says whether it would be done.
    pub async fn change_or_rehearse(
        &self,
        action: &str,
        mut words: Words,
        dry: bool,
    ) -> Result<Xml, AwsError> {
        if dry {
            words.push(("DryRun".into(), "true".into()));
        }
        self.ask(action, words, 1).await
    }

    async fn ask(&self, action: &str, words: Words, tries: u32) -> Result<Xml, AwsError> {
        let call = Prepared::Query(self.0.service, action.to_owned(), words);
        Xml::parse(&self.0.ask(&call, tries).await?).map(|answer| answer.result(action))
    }
}

impl Json {
    /// What a read answers: `Describe…`, `Filter…`, `Get…`, `List…`, `Lookup…`.
    pub async fn look(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        only(&["Describe", "Filter", "Get", "List", "Lookup"], operation)?;
        self.ask(operation, body, TRIES).await
    }

    /// Changes something; sent once.
    pub async fn command(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        self.ask(operation, body, 1).await
    }

    async fn ask(&self, operation: &str, body: Value, tries: u32) -> Result<Value, AwsError> {
        json(&self.0.ask(&Prepared::Json(self.0.service, operation.to_owned(), body), tries).await?)
    }
}

impl Rest {
    /// What there is at a path.
    pub async fn look(&self, names: &[&str], query: Words) -> Result<Value, AwsError> {
        self.ask(names, query, None, TRIES).await
    }

    /// Posts to a path: changes something; sent once.
    pub async fn command(&self, names: &[&str], body: Value) -> Result<Value, AwsError> {
        self.ask(names, Words::new(), Some(body), 1).await
    }

    async fn ask(
        &self,
        names: &[&str],
        query: Words,
        body: Option<Value>,
        tries: u32,
    ) -> Result<Value, AwsError> {
        let call = Prepared::Rest { service: self.0.service, path: path(names), query, body };
        json(&self.0.ask(&call, tries).await?)
    }
}

impl Buckets {
    /// One page of the objects below a prefix.
    pub async fn list(&self, bucket: &str, prefix: &str, after: Option<String>) -> Result<Xml, AwsError> {
        let call = Prepared::S3List { bucket: bucket.to_owned(), prefix: prefix.to_owned(), after };
        Xml::parse(&self.0.ask(&call, TRIES).await?)
    }

    /// An object, for reading piece by piece.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<reqwest::Response, AwsError> {
        self.0.open(&Prepared::S3Get { bucket: bucket.to_owned(), key: key.to_owned() }).await
    }
}

/// Refuses what is no read by its name.
fn only(verbs: &[&str], operation: &str) -> Result<(), AwsError> {
    if verbs.iter().any(|verb| operation.starts_with(verb)) {
        return Ok(());
    }
    Err(AwsError::new(AwsTrouble::Refused, format!("{operation} is no read")))
}

fn json(body: &str) -> Result<Value, AwsError> {
    let empty = if body.trim().is_empty() { "{}" } else { body };
    serde_json::from_str(empty)
        .map_err(|error| AwsError::new(AwsTrouble::Refused, format!("AWS's answer is no JSON: {error}")))
}

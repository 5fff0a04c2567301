//! Silences: made, changed, expired, and what they suppress. They are kept after they expire, as people expect.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::matcher::{Matcher, all_match};
use super::{Failure, bad_request, not_found};
use crate::lab::tsdb::Labels;

/// A silence as held.
pub(super) struct Silence {
    pub(super) id: String,
    matchers: Vec<Matcher>,
    starts: Timestamp,
    ends: Timestamp,
    updated: Timestamp,
    created_by: String,
    comment: String,
}

/// A silence as posted; with `id`, a change of an existing one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Posted {
    #[serde(default)]
    id: Option<String>,
    matchers: Vec<Matcher>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    created_by: String,
    comment: String,
}

impl Silence {
    /// `pending`, `active` or `expired`.
    fn state(&self, now: Timestamp) -> &'static str {
        if now >= self.ends {
            "expired"
        } else if now < self.starts {
            "pending"
        } else {
            "active"
        }
    }

    pub(super) fn suppresses(&self, labels: &Labels, now: Timestamp) -> bool {
        self.state(now) == "active" && all_match(&self.matchers, labels)
    }

    /// Whether a listing filtered like this shows it: a filter is compared with the silence's own matchers.
    pub(super) fn is_about(&self, filters: &[Matcher]) -> bool {
        filters.iter().all(|filter| {
            let of_name = |matcher: &&Matcher| matcher.name == filter.name;
            filter.matches(self.matchers.iter().find(of_name).map_or("", |matcher| &matcher.value))
        })
    }

    /// Ends it now.
    pub(super) fn expire(&mut self, now: Timestamp) -> Result<(), Failure> {
        if self.state(now) == "expired" {
            let why = format!("silence {} already expired", self.id);
            return Err(Failure(StatusCode::INTERNAL_SERVER_ERROR, why));
        }
        self.starts = self.starts.min(now);
        self.ends = now;
        self.updated = now;
        Ok(())
    }

    pub(super) fn to_json(&self, now: Timestamp) -> Json {
        json!({
            "id": self.id, "matchers": self.matchers, "startsAt": self.starts.to_string(),
            "endsAt": self.ends.to_string(), "updatedAt": self.updated.to_string(),
            "createdBy": self.created_by, "comment": self.comment, "status": {"state": self.state(now)},
        })
    }
}

/// Takes a posted silence: a new one, a prolonged one, or (when it would mean something else) a successor.
pub(super) fn accept(silences: &mut Vec<Silence>, posted: Posted, now: Timestamp) -> Result<String, Failure> {
    let Posted { id, matchers, starts_at, ends_at, created_by, comment } = posted;
    let matchers: Vec<Matcher> =
        matchers.into_iter().map(Matcher::compile).collect::<Result<_, _>>().map_err(bad_request)?;
    if matchers.is_empty() || matchers.iter().all(|matcher| matcher.matches("")) {
        return Err(bad_request("invalid silence: at least one matcher must not match the empty string"));
    }
    if ends_at <= now {
        return Err(bad_request("end time can't be in the past"));
    }
    if starts_at >= ends_at {
        return Err(bad_request("start time must be before end time"));
    }
    if created_by.is_empty() || comment.is_empty() {
        return Err(bad_request("invalid silence: creator or comment missing"));
    }
    if let Some(id) = id.filter(|id| !id.is_empty()) {
        let known = silences.iter_mut().find(|silence| silence.id == id).ok_or_else(|| not_found(&id))?;
        let same = known.matchers.len() == matchers.len()
            && known.matchers.iter().zip(&matchers).all(|(a, b)| a.same(b))
            && (known.starts == starts_at || known.state(now) == "active");
        if same && known.state(now) != "expired" {
            known.ends = ends_at;
            known.updated = now;
            known.created_by = created_by;
            known.comment = comment;
            return Ok(id);
        }
        if known.state(now) != "expired" {
            known.expire(now)?;
        }
    }
    let id = Uuid::now_v7().to_string();
    let starts = starts_at.max(now);
    silences.push(Silence {
        id: id.clone(),
        matchers,
        starts,
        ends: ends_at,
        updated: now,
        created_by,
        comment,
    });
    Ok(id)
}

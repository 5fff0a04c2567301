//! AWS's query protocol: an action and its parameters as a form, answered in XML; and EC2's dialect of it.

use std::collections::BTreeMap;

use super::Failure;
use super::xml::{element, text};
use crate::lab::prometheus::Form;

/// What is inside an answer, as XML.
pub(super) type Said = Result<String, Failure>;

/// A call.
pub(super) struct Asked(BTreeMap<String, String>);

impl Asked {
    pub(super) fn read(body: &[u8]) -> Self {
        Self(Form::read(None, body).by_name())
    }

    pub(super) fn action(&self) -> &str {
        self.get("Action").unwrap_or_default()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// # Errors
    /// It is not given.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Failure> {
        let says = format!("The request must contain the parameter {name}");
        self.get(name).ok_or_else(|| Failure::new("MissingParameter", says))
    }

    /// `name.1`, `name.2`, ….
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|place| self.get(&format!("{name}.{place}"))).collect()
    }

    /// Ends here when it is only a rehearsal.
    ///
    /// # Errors
    /// EC2 says in an error that it would have been done.
    pub(super) fn rehearse(&self) -> Result<(), Failure> {
        if self.get("DryRun") != Some("true") {
            return Ok(());
        }
        let says = "Request would have succeeded, but DryRun flag is set.";
        Err(Failure { status: 412, ..Failure::new("DryRunOperation", says) })
    }
}

/// The answer of EC2 to an action.
pub(super) fn of_ec2(action: &str, namespace: &str, inside: &str) -> String {
    let id = uuid::Uuid::now_v7();
    format!("<{action}Response xmlns=\"{namespace}\"><requestId>{id}</requestId>{inside}</{action}Response>")
}

/// The answer of every other service to an action.
pub(super) fn of_others(action: &str, namespace: &str, inside: &str) -> String {
    let id = text("RequestId", uuid::Uuid::now_v7());
    format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{inside}</{action}Result>\
         <ResponseMetadata>{id}</ResponseMetadata></{action}Response>"
    )
}

/// An error in EC2's own shape.
pub(super) fn error_of_ec2(failure: &Failure) -> String {
    let error = element("Error", [text("Code", failure.code), text("Message", &failure.says)]);
    element("Response", [element("Errors", [error]), text("RequestID", uuid::Uuid::now_v7())])
}

/// An error in the shape of every other service that answers in XML.
pub(super) fn error_of_others(failure: &Failure) -> String {
    let error = [text("Type", "Sender"), text("Code", failure.code), text("Message", &failure.says)];
    element("ErrorResponse", [element("Error", error), text("RequestId", uuid::Uuid::now_v7())])
}

//! Values a step needs from a person, each with what the playbook computed for it.

use std::collections::BTreeMap;

use super::editing::Editing;
use super::line::Line;
use crate::domain::AnomalyId;
use crate::playbooks::PlannedStep;

#[derive(Debug)]
pub struct Form {
    pub anomaly: AnomalyId,
    pub step: String,
    pub title: String,
    pub fields: Vec<Field>,
    pub at: usize,
    /// What is wrong with what was given.
    pub wrong: Option<String>,
    /// Its value is being read for the editor, or is in it.
    pub editing: Option<Editing>,
    /// What could be given, once it is known.
    pub hint: Option<String>,
}

#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub label: String,
    pub computed: Option<String>,
    pub line: Line,
    /// A text from the editor, exactly; typing gives it up.
    pub edited: Option<String>,
}

impl Form {
    pub fn new(anomaly: AnomalyId, step: &PlannedStep) -> Self {
        let fields = step
            .inputs
            .iter()
            .map(|input| Field {
                name: input.name.clone(),
                label: input.label.clone(),
                computed: input.default.clone(),
                edited: None,
                line: Line::new(input.value.as_deref().or(input.default.as_deref()).unwrap_or_default()),
            })
            .collect();
        Self {
            anomaly,
            step: step.id.clone(),
            title: step.title.clone(),
            fields,
            at: 0,
            wrong: None,
            editing: None,
            hint: None,
        }
    }

    pub fn field(&mut self) -> Option<&mut Line> {
        let field = self.fields.get_mut(self.at)?;
        field.edited = None;
        Some(&mut field.line)
    }

    pub fn go(&mut self, by: isize) {
        let count = self.fields.len().max(1) as isize;
        self.at = (self.at as isize + by).rem_euclid(count) as usize;
    }

    pub fn is_last(&self) -> bool {
        self.at + 1 >= self.fields.len()
    }

    /// What was given, empty fields left out.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.fields
            .iter()
            .filter_map(|field| {
                let typed = || Some(field.line.text().trim().to_owned()).filter(|text| !text.is_empty());
                Some((field.name.clone(), field.edited.clone().or_else(typed)?))
            })
            .collect()
    }
}

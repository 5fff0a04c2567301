//! AWS's XML as a tree that owns its text, asked by the names of elements. Namespaces are ignored.

use super::explain::{AwsError, AwsTrouble};

/// An element: its name, its text, its children.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Xml {
    name: String,
    text: String,
    children: Vec<Xml>,
}

impl Xml {
    /// # Errors
    /// It is no XML.
    pub fn parse(body: &str) -> Result<Xml, AwsError> {
        let document = roxmltree::Document::parse(body).map_err(|error| {
            AwsError::new(AwsTrouble::Refused, format!("AWS's answer is no XML: {error}"))
        })?;
        Ok(Self::of(document.root_element()))
    }

    fn of(node: roxmltree::Node<'_, '_>) -> Xml {
        Xml {
            name: node.tag_name().name().to_owned(),
            text: node.text().unwrap_or_default().trim().to_owned(),
            children: node.children().filter(roxmltree::Node::is_element).map(Self::of).collect(),
        }
    }

    /// What an answer to an action holds: EC2 writes it straight into the answer, others into a result of its own.
    pub(super) fn result(mut self, action: &str) -> Xml {
        let result = format!("{action}Result");
        match self.children.iter().position(|child| child.name == result) {
            Some(place) => self.children.swap_remove(place),
            None => self,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first element at this path, `a/b/c`.
    pub fn at(&self, path: &str) -> Option<&Xml> {
        path.split('/').try_fold(self, |at, name| at.children.iter().find(|child| child.name == name))
    }

    /// The text at this path; empty when there is none.
    pub fn text(&self, path: &str) -> &str {
        self.at(path).map_or("", |found| &found.text)
    }

    /// The text at this path, unless there is none.
    pub fn some(&self, path: &str) -> Option<&str> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    /// A number at this path.
    pub fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.text(path).parse().ok()
    }

    /// The elements of a list: `reservationSet/item`, `Contents`.
    pub fn each<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Xml> {
        let (parent, name) = match path.rsplit_once('/') {
            Some((parent, name)) => (self.at(parent), name),
            None => (Some(self), path),
        };
        parent.into_iter().flat_map(|parent| &parent.children).filter(move |child| child.name == name)
    }

    /// Its own text.
    pub fn own(&self) -> &str {
        &self.text
    }

    /// The value of an EC2 tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.each("tagSet/item").find(|tag| tag.text("key") == key).map(|tag| tag.text("value"))
    }
}

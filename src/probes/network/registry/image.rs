//! An image reference taken apart, as the kubelet resolves it.

/// `host/repository:tag@digest`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Image {
    /// As it was written.
    pub named: String,
    /// `docker.io` when none is written.
    pub registry: String,
    pub repository: String,
    /// What is asked for: the digest, else the tag.
    pub reference: String,
}

impl Image {
    /// None when it is no reference.
    pub(super) fn parse(named: &str) -> Option<Image> {
        let (name, digest) = match named.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (named, None),
        };
        let (registry, rest) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (host.to_lowercase(), rest)
            }
            _ => ("docker.io".to_owned(), name),
        };
        let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        let proper = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if repository.is_empty()
            || !repository.chars().all(proper)
            || tag.is_empty()
            || !tag.chars().all(word)
        {
            return None;
        }
        if digest.is_some_and(|digest| !digest.contains(':') || !digest.chars().all(|c| word(c) || c == ':'))
        {
            return None;
        }
        let official = registry == "docker.io" && !repository.contains('/');
        let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
        let registry = match registry.as_str() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            _ => registry,
        };
        let reference = digest.unwrap_or(tag).to_owned();
        Some(Image { named: named.to_owned(), registry, repository, reference })
    }

    pub(super) fn without_tag(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_the_kubelet_reads_them() {
        for (named, registry, repository, reference) in [
            ("nginx", "docker.io", "library/nginx", "latest"),
            ("org/app:v1", "docker.io", "org/app", "v1"),
            ("ghcr.io/org/app@sha256:0a", "ghcr.io", "org/app", "sha256:0a"),
            ("localhost:5000/app:v1@sha256:0a", "localhost:5000", "app", "sha256:0a"),
            ("index.docker.io/library/nginx:1", "docker.io", "library/nginx", "1"),
        ] {
            let image = Image::parse(named).unwrap();
            assert_eq!(
                (&*image.registry, &*image.repository, &*image.reference),
                (registry, repository, reference)
            );
        }
        for wrong in ["ghcr.io/Org/App:v1", "app:", "app@digest", "", "a b"] {
            assert_eq!(Image::parse(wrong), None, "{wrong}");
        }
    }
}

//! Where one service's objects are cached.

use crate::{Domain, Node};

const DOMAINS_MAX: usize = 128;
const NODES_MAX: usize = 64;

/// The domains of one service, and the cache nodes that serve them. Neither list is empty, so a purge that reached
/// nothing cannot look like one that worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    domains: Vec<Domain>,
    nodes: Vec<Node>,
}

/// Why the two lists are not a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it is")]
pub enum NotTarget {
    #[error("the service has no domain")]
    NoDomain,
    #[error("the service has no cache node")]
    NoNode,
    #[error("a service has at most {DOMAINS_MAX} domains")]
    TooManyDomains,
    #[error("a service has at most {NODES_MAX} cache nodes")]
    TooManyNodes,
}

impl Target {
    /// A node or domain that is named twice is one.
    pub fn new(domains: Vec<Domain>, nodes: Vec<Node>) -> Result<Self, NotTarget> {
        let (domains, nodes) = (unique(domains), unique(nodes));
        match (domains.len(), nodes.len()) {
            (0, _) => Err(NotTarget::NoDomain),
            (_, 0) => Err(NotTarget::NoNode),
            (count, _) if count > DOMAINS_MAX => Err(NotTarget::TooManyDomains),
            (_, count) if count > NODES_MAX => Err(NotTarget::TooManyNodes),
            _ => Ok(Self { domains, nodes }),
        }
    }

    #[expect(missing_docs, reason = "a getter")]
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    #[expect(missing_docs, reason = "a getter")]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

fn unique<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(all.len());
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_never_empty_and_names_nothing_twice() {
        let domain = || Domain::parse("shop.example").expect("a domain");
        let node = || Node::parse("http://cache1:80").expect("a node");
        assert_eq!(Target::new(vec![], vec![node()]), Err(NotTarget::NoDomain));
        assert_eq!(Target::new(vec![domain()], vec![]), Err(NotTarget::NoNode));
        let target = Target::new(vec![domain(), domain()], vec![node(), node()]).expect("a target");
        assert_eq!((target.domains().len(), target.nodes().len()), (1, 1));
    }

    #[test]
    fn a_target_is_bounded() {
        let domains = |n| (0..n).map(|i| Domain::parse(&format!("d{i}")).expect("a domain")).collect();
        let nodes = |n| (0..n).map(|i| Node::parse(&format!("http://n{i}:80")).expect("a node")).collect();
        assert!(Target::new(domains(128), nodes(64)).is_ok());
        assert_eq!(Target::new(domains(129), nodes(1)), Err(NotTarget::TooManyDomains));
        assert_eq!(Target::new(domains(1), nodes(65)), Err(NotTarget::TooManyNodes));
    }
}

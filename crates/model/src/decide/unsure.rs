//! Doubts: why nothing can be told.

/// Why it cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    /// The replica has not been loaded, or has not heard from the authority for too long.
    Stale,
    /// Nothing proves any more that the replica has heard everything: the gate is cut off from the authority.
    LeaseLapsed,
    /// The token names an owner or customer that the replica lacks.
    OwnerMissing,
    /// The proxy does not say what it was asked for.
    ProxyMisconfigured,
    /// A scope or role that this policy does not define: written by another version, or another policy.
    Unsupported,
    /// The policy of an API wants a signed identity, and whoever would sign it does not know under which URL.
    IssuerMissing,
    /// The replica has not applied what whoever asks wants to be decided by.
    Behind,
}

impl Unsure {
    /// The stable word for it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Stale => "authority_stale",
            Self::LeaseLapsed => "lease_lapsed",
            Self::OwnerMissing => "owner_missing",
            Self::ProxyMisconfigured => "proxy_misconfigured",
            Self::Unsupported => "record_unsupported",
            Self::IssuerMissing => "public_url_missing",
            Self::Behind => "position_not_applied",
        }
    }
}

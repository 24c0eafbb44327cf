//! Mistakes to plant: a simulation that does not find them finds nothing.

/// A mistake, somewhere in the shell around the production code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The primary answers before its standby has what it answers for.
    CommitsWithoutStandby,
    /// A gate counts its lease from when the echo came.
    CountsFromReceipt,
    /// A node echoes heartbeats that are not committed.
    EchoesWithoutCommit,
    /// A gate takes an echo to prove what it has not applied.
    CountsUnapplied,
    /// A receipt is given though a gate was waited for too long.
    DoesNotWait,
    /// A node knows only the gates that it was heard by itself.
    ReadsNoBeats,
    /// A node reads what gates have said from a database that was cut off.
    ReadsStaleBeats,
    /// A gate says that it has applied what is in the record.
    ConfirmsTooMuch,
    /// A gate forgets how far it was when it goes to another node.
    ForgetsHigh,
    /// A gate applies what does not follow on what it holds.
    AppliesGaps,
    /// A gate decides by what it kept, before a node has said what it missed.
    TrustsWhatItKept,
    /// A gate goes on with a lease that was granted to the run before.
    KeepsLease,
    /// A node tells a change without the one before it.
    LeavesOut,
    /// A gate that wants everything anew does not say where it has been.
    HidesPast,
}

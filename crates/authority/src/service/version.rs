//! Versions of a service. They stand in its row, so that they share its seal and no version outlives its service.

use keygate_model::{
    Action, Event, Permit, Timestamp,
    event::version::{VersionChange, VersionEvent},
    version::{Environment, Unchanged, Version, Versions},
};

use super::{asked_about, find_living};
use crate::{authority::Authority, fault::Fault, origin::Origin, text};

impl Authority {
    /// Makes an empty version.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`], `name_invalid`; storage faults.
    pub async fn create_version(
        &self,
        permit: &Permit,
        origin: &Origin,
        comment: &str,
    ) -> Result<Version, Fault> {
        permit.proves(Action::SERVICE_UPDATE)?;
        let comment = text::comment("Comment", comment)?;
        let add =
            |versions: &mut Versions, now| Ok(Some((versions.add(comment, now), VersionChange::Create)));
        self.change_versions(permit, origin, None, add).await
    }

    /// Makes a version of another.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`]; storage faults.
    pub async fn clone_version(
        &self,
        permit: &Permit,
        origin: &Origin,
        number: u32,
    ) -> Result<Version, Fault> {
        permit.proves(Action::SERVICE_UPDATE)?;
        let clone = move |versions: &mut Versions, now| {
            let comment = versions.get(number).ok_or(Unchanged::Missing)?.comment.clone();
            Ok(Some((versions.add(comment, now), VersionChange::Clone { from: number })))
        };
        self.change_versions(permit, origin, Some(number), clone).await
    }

    /// Changes what is said about a version.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`], [`Fault::VersionLocked`], `name_invalid`; storage faults.
    pub async fn update_version(
        &self,
        permit: &Permit,
        origin: &Origin,
        number: u32,
        comment: &str,
    ) -> Result<Version, Fault> {
        permit.proves(Action::SERVICE_UPDATE)?;
        let new = text::comment("Comment", comment)?;
        let comment = move |versions: &mut Versions, now| {
            let old = versions.comment(number, new.clone(), now)?;
            Ok(Some((number, VersionChange::Update { old, new })))
        };
        self.change_versions(permit, origin, Some(number), comment).await
    }

    /// Locks a version; one that is locked stays as it is.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`]; storage faults.
    pub async fn lock_version(
        &self,
        permit: &Permit,
        origin: &Origin,
        number: u32,
    ) -> Result<Version, Fault> {
        permit.proves(Action::SERVICE_UPDATE)?;
        let lock = move |versions: &mut Versions, now| {
            Ok(versions.lock(number, now)?.then_some((number, VersionChange::Lock)))
        };
        self.change_versions(permit, origin, Some(number), lock).await
    }

    /// Puts a version to use in the place of the one before it; one that is in use stays as it is.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`]; storage faults.
    pub async fn activate_version(
        &self,
        permit: &Permit,
        origin: &Origin,
        number: u32,
        at: Environment,
    ) -> Result<Version, Fault> {
        permit.proves(Action::SERVICE_ACTIVATE)?;
        let activate = move |versions: &mut Versions, now| {
            Ok(versions.activate(number, at, now)?.then_some((number, VersionChange::Activate(at))))
        };
        self.change_versions(permit, origin, Some(number), activate).await
    }

    /// Takes a version out of use; one that is in use nowhere stays as it is.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`]; storage faults.
    pub async fn deactivate_version(
        &self,
        permit: &Permit,
        origin: &Origin,
        number: u32,
        at: Environment,
    ) -> Result<Version, Fault> {
        permit.proves(Action::SERVICE_ACTIVATE)?;
        let deactivate = move |versions: &mut Versions, now| {
            Ok(versions.deactivate(number, at, now)?.then_some((number, VersionChange::Deactivate(at))))
        };
        self.change_versions(permit, origin, Some(number), deactivate).await
    }

    /// Changes the versions of the service that a permit is about, and returns the one that was made or changed.
    /// `asked` is the one that was asked for, if that is not a new one. If there was nothing to change, nothing has
    /// happened, and there is no event.
    async fn change_versions(
        &self,
        permit: &Permit,
        origin: &Origin,
        asked: Option<u32>,
        change: impl FnOnce(&mut Versions, Timestamp) -> Changed + Send + 'static,
    ) -> Result<Version, Fault> {
        let (customer, service) = (permit.customer(), asked_about(permit)?);
        let fault = move |unchanged| unchanged_fault(unchanged, asked.unwrap_or_default(), service);
        let changed = self
            .change(permit.actor(), origin, move |mut write| {
                let mut row = find_living(write.db(), write.keys(), customer, service)?;
                let changed = change(&mut row.versions, write.origin().now).map_err(fault)?;
                let Some((number, what)) = changed else { return Err(Fault::AlreadyDone) };
                // A service is as old as its name and domains: its versions do not make it younger.
                row.position = write.position_of(0);
                row.save(&mut write)?;
                let version = row.versions.get(number).cloned().ok_or_else(|| fault(Unchanged::Missing))?;
                write.commit(&Event::Version(VersionEvent { service, number, what }), version)
            })
            .await;
        match (changed, asked) {
            (Err(Fault::AlreadyDone), Some(number)) => {
                let row = self.read(move |db, keys| find_living(db, keys, customer, service)).await?;
                row.versions.get(number).cloned().ok_or_else(|| fault(Unchanged::Missing))
            }
            (changed, _) => changed,
        }
    }
}

/// The number of the version that was changed, and how. None: it is as it should be.
type Changed = Result<Option<(u32, VersionChange)>, Unchanged>;

fn unchanged_fault(unchanged: Unchanged, number: u32, service: keygate_model::ServiceId) -> Fault {
    match unchanged {
        Unchanged::Missing => Fault::Missing { noun: "version", id: number.to_string() },
        Unchanged::Locked => Fault::VersionLocked { number, service: service.to_string() },
    }
}

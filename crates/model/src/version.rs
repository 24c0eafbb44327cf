//! Versions of a service: numbered, commented, locked once they are in use. Keygate keeps no configuration in them; they
//! are what Fastly's clients and pipelines clone and activate.

use crate::time::Timestamp;

/// How many versions of a service are kept. All of them stand in the service's own row, which is read and sealed as a
/// whole at every change, and in every list of services: the bound keeps a row below 100 KiB. A recorded service in use
/// since years has 132; one more than these, and the oldest that is in use nowhere is forgotten.
pub const VERSIONS_MAX: usize = 256;

/// Where a version can be active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Where visitors are.
    Production,
    /// Where it is tried before.
    Staging,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1 on. No two versions of a service ever have the same.
    pub number: u32,
    /// What its maker says about it; without control characters.
    pub comment: String,
    /// Whether it is the one in production.
    pub active: bool,
    /// Whether it is the one in staging.
    pub staging: bool,
    /// Whether it can no longer be edited.
    pub locked: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// The versions of a service, by number. There is always one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(Vec<Version>);

/// Why a version is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// No version has this number.
    Missing,
    /// It is locked.
    Locked,
}

impl Versions {
    /// What a new service has.
    #[must_use]
    pub fn first(now: Timestamp) -> Self {
        Self(vec![Version::new(1, String::new(), now)])
    }

    /// All of them, by number.
    #[must_use]
    pub fn all(&self) -> &[Version] {
        &self.0
    }

    /// The one with this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Version> {
        self.0.iter().find(|version| version.number == number)
    }

    /// The one in production.
    #[must_use]
    pub fn active(&self) -> Option<&Version> {
        self.0.iter().find(|version| version.active)
    }

    /// The one that a list of services names: the active one, else the latest.
    #[must_use]
    pub fn current(&self) -> &Version {
        self.active().unwrap_or(&self.0[self.0.len() - 1])
    }

    /// Adds the next version; the oldest in use nowhere goes if they are too many. Returns its number.
    pub fn add(&mut self, comment: String, now: Timestamp) -> u32 {
        let number = self.0.last().map_or(1, |last| last.number.saturating_add(1));
        while self.0.len() >= VERSIONS_MAX {
            // Two can be in use, so there is one that is not.
            let unused = self.0.iter().position(|version| !version.active && !version.staging);
            self.0.remove(unused.unwrap_or(0));
        }
        self.0.push(Version::new(number, comment, now));
        number
    }

    /// Changes what is said about a version. Returns what was said before.
    ///
    /// # Errors
    /// [`Unchanged`].
    pub fn comment(&mut self, number: u32, comment: String, now: Timestamp) -> Result<String, Unchanged> {
        let version = self.find(number)?;
        if version.locked {
            return Err(Unchanged::Locked);
        }
        version.updated_at = now;
        Ok(std::mem::replace(&mut version.comment, comment))
    }

    /// Locks a version; there is no way back. Returns whether it was open.
    ///
    /// # Errors
    /// [`Unchanged::Missing`].
    pub fn lock(&mut self, number: u32, now: Timestamp) -> Result<bool, Unchanged> {
        let version = self.find(number)?;
        let was_open = !std::mem::replace(&mut version.locked, true);
        if was_open {
            version.updated_at = now;
        }
        Ok(was_open)
    }

    /// Puts a version to use, which locks it, and takes the one before it out of use there. Returns whether it was not
    /// in use there.
    ///
    /// # Errors
    /// [`Unchanged::Missing`].
    pub fn activate(&mut self, number: u32, at: Environment, now: Timestamp) -> Result<bool, Unchanged> {
        self.lock(number, now)?;
        let mut changed = false;
        for version in &mut self.0 {
            let wanted = version.number == number;
            let active = version.is_active_at(at);
            if *active != wanted {
                (*active, version.updated_at, changed) = (wanted, now, true);
            }
        }
        Ok(changed)
    }

    /// Takes a version out of use. Returns whether it was in use there.
    ///
    /// # Errors
    /// [`Unchanged::Missing`].
    pub fn deactivate(&mut self, number: u32, at: Environment, now: Timestamp) -> Result<bool, Unchanged> {
        let version = self.find(number)?;
        let was_active = std::mem::take(version.is_active_at(at));
        if was_active {
            version.updated_at = now;
        }
        Ok(was_active)
    }

    /// As it is kept: a line for each, `75 a-l 1667583917000000 1667583919000000 new comment`; the letters are for
    /// active, staging, locked.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let lines: Vec<_> = self.0.iter().map(Version::to_line).collect();
        lines.join("\n")
    }

    /// Reads what [`Versions::to_lines`] wrote, and nothing else: not one that says the same in another way.
    #[must_use]
    pub fn from_lines(lines: &str) -> Option<Self> {
        let versions = Self(lines.split('\n').map(Version::from_line).collect::<Option<_>>()?);
        (versions.to_lines() == lines).then_some(versions)
    }

    fn find(&mut self, number: u32) -> Result<&mut Version, Unchanged> {
        self.0.iter_mut().find(|version| version.number == number).ok_or(Unchanged::Missing)
    }
}

impl Version {
    fn new(number: u32, comment: String, now: Timestamp) -> Self {
        let (active, staging, locked) = (false, false, false);
        Self { number, comment, active, staging, locked, created_at: now, updated_at: now }
    }

    fn is_active_at(&mut self, at: Environment) -> &mut bool {
        match at {
            Environment::Production => &mut self.active,
            Environment::Staging => &mut self.staging,
        }
    }

    fn to_line(&self) -> String {
        let mark = |is: bool, letter| if is { letter } else { '-' };
        let marks = [mark(self.active, 'a'), mark(self.staging, 's'), mark(self.locked, 'l')];
        let (created, updated) = (self.created_at.micros(), self.updated_at.micros());
        format!("{} {} {created} {updated} {}", self.number, String::from_iter(marks), self.comment)
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.splitn(5, ' ');
        let number = words.next()?.parse().ok()?;
        let marks = words.next()?;
        let mut time = || words.next()?.parse().ok().map(Timestamp::from_micros);
        let (created_at, updated_at) = (time()?, time()?);
        let comment = words.next()?.to_owned();
        let [active, staging, locked] = ['a', 's', 'l'].map(|letter| marks.contains(letter));
        Some(Self { number, comment, active, staging, locked, created_at, updated_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn one_at_most_is_active_in_each_environment_and_it_is_locked() {
        let mut versions = Versions::first(at(0));
        versions.add("two".to_owned(), at(1));
        versions.activate(1, Environment::Production, at(2)).unwrap();
        versions.activate(1, Environment::Staging, at(3)).unwrap();
        versions.activate(2, Environment::Production, at(4)).unwrap();
        let told: Vec<_> =
            versions.all().iter().map(|v| (v.active, v.staging, v.locked, v.updated_at)).collect();
        assert_eq!(told, [(false, true, true, at(4)), (true, false, true, at(4))]);
        assert_eq!(versions.activate(2, Environment::Production, at(5)), Ok(false));
        assert_eq!(versions.deactivate(1, Environment::Production, at(5)), Ok(false));
        assert_eq!(versions.deactivate(2, Environment::Production, at(5)), Ok(true));
        assert_eq!((versions.active(), versions.current().number), (None, 2));
    }

    #[test]
    fn what_is_locked_is_not_edited() {
        let mut versions = Versions::first(at(0));
        assert_eq!(versions.comment(1, "new".to_owned(), at(1)), Ok(String::new()));
        assert_eq!(versions.lock(1, at(2)), Ok(true));
        assert_eq!(versions.lock(1, at(3)), Ok(false));
        assert_eq!(versions.comment(1, "newer".to_owned(), at(3)), Err(Unchanged::Locked));
        assert_eq!(versions.comment(2, "newer".to_owned(), at(3)), Err(Unchanged::Missing));
        assert_eq!((versions.all()[0].comment.as_str(), versions.all()[0].updated_at), ("new", at(2)));
    }

    #[test]
    fn too_many_forget_the_oldest_that_is_unused_and_no_number_comes_twice() {
        let mut versions = Versions::first(at(0));
        versions.activate(1, Environment::Production, at(0)).unwrap();
        versions.add(String::new(), at(0));
        versions.activate(2, Environment::Staging, at(0)).unwrap();
        let last = (0..VERSIONS_MAX).map(|_| versions.add(String::new(), at(1))).last();
        assert_eq!(last, u32::try_from(VERSIONS_MAX + 2).ok());
        let numbers: Vec<_> = versions.all().iter().map(|version| version.number).collect();
        assert_eq!((versions.all().len(), &numbers[..3]), (VERSIONS_MAX, &[1, 2, 5][..]));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(kept: Vec<(u32, String, [bool; 3], i64)>) {
            prop_assume!(!kept.is_empty());
            let version = |(number, comment, [active, staging, locked], time): (u32, String, [bool; 3], i64)| Version {
                number,
                comment: comment.replace('\n', " "),
                active,
                staging,
                locked,
                created_at: Timestamp::from_micros(time),
                updated_at: Timestamp::from_micros(time),
            };
            let versions = Versions(kept.into_iter().map(version).collect());
            prop_assert_eq!(Versions::from_lines(&versions.to_lines()), Some(versions));
        }
    }

    #[test]
    fn what_was_not_written_is_not_read() {
        let line = "1 a-l 5 6 first one";
        assert!(Versions::from_lines(line).is_some());
        for odd in [
            "",
            "1",
            "1 --- 5 6",
            "01 a-l 5 6 c",
            "1 la- 5 6 c",
            "1 a-l 5 6 c\n",
            "x a-l 5 6 c",
            "1 all 5 6 c",
        ] {
            assert_eq!(Versions::from_lines(odd), None, "{odd:?}");
        }
    }
}

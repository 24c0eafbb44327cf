//! Values as both databases keep them: integers of 64 bits, text, bytes, and nothing.

use super::{Error, Result};

/// A value on its way into a statement or out of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'v> {
    /// SQL's NULL.
    Null,
    /// An integer; 0 and 1 where it is a truth.
    Int(i64),
    /// Text.
    Text(&'v str),
    /// Bytes.
    Blob(&'v [u8]),
}

impl<'v> Value<'v> {
    /// The text that it is.
    pub(crate) fn as_str(self) -> Result<&'v str> {
        if let Self::Text(text) = self { Ok(text) } else { Err(Error::Unreadable) }
    }

    /// The bytes that it is.
    pub(crate) fn as_blob(self) -> Result<&'v [u8]> {
        if let Self::Blob(bytes) = self { Ok(bytes) } else { Err(Error::Unreadable) }
    }
}

/// What a statement takes.
pub(crate) trait Bind {
    /// As a value.
    fn value(&self) -> Value<'_>;
}

impl Bind for i64 {
    fn value(&self) -> Value<'_> {
        Value::Int(*self)
    }
}

impl Bind for bool {
    fn value(&self) -> Value<'_> {
        Value::Int(i64::from(*self))
    }
}

impl Bind for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Bind for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl<const N: usize> Bind for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl Bind for Vec<u8> {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Bind::value)
    }
}

/// What a column is read as. None: it is something else.
pub(crate) trait Column: Sized {
    /// From a value.
    fn of(value: Value<'_>) -> Option<Self>;
}

impl Column for i64 {
    fn of(value: Value<'_>) -> Option<Self> {
        if let Value::Int(number) = value { Some(number) } else { None }
    }
}

impl Column for bool {
    fn of(value: Value<'_>) -> Option<Self> {
        i64::of(value).map(|number| number != 0)
    }
}

impl Column for String {
    fn of(value: Value<'_>) -> Option<Self> {
        value.as_str().ok().map(str::to_owned)
    }
}

impl Column for Vec<u8> {
    fn of(value: Value<'_>) -> Option<Self> {
        value.as_blob().ok().map(<[u8]>::to_vec)
    }
}

impl<const N: usize> Column for [u8; N] {
    fn of(value: Value<'_>) -> Option<Self> {
        value.as_blob().ok()?.try_into().ok()
    }
}

impl<T: Column> Column for Option<T> {
    fn of(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::of(value).map(Some) }
    }
}

/// All that a statement takes, in the order of `$1`, `$2` and so on.
pub(crate) trait Params {
    /// As values.
    fn values(&self) -> Vec<Value<'_>>;
}

impl<T: Bind, const N: usize> Params for [T; N] {
    fn values(&self) -> Vec<Value<'_>> {
        self.iter().map(Bind::value).collect()
    }
}

impl Params for &[&dyn Bind] {
    fn values(&self) -> Vec<Value<'_>> {
        self.iter().map(|bind| bind.value()).collect()
    }
}

/// No parameters.
pub(crate) const NONE: [i64; 0] = [];

/// Parameters of several types.
macro_rules! params {
    ($($param:expr),* $(,)?) => { &[$(&$param as &dyn $crate::db::Bind),*] as &[&dyn $crate::db::Bind] };
}
pub(crate) use params;

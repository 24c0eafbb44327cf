//! What a change changed, for its event.

use serde_json::{Map, Value};

/// The fields that differ between two objects with the same fields: as they were, and as they are.
pub(crate) fn between(old: &Value, new: &Value) -> (Value, Value) {
    let (mut before, mut after) = (Map::new(), Map::new());
    for (name, now) in new.as_object().into_iter().flatten() {
        let then = old.get(name).cloned().unwrap_or_default();
        if then != *now {
            before.insert(name.clone(), then);
            after.insert(name.clone(), now.clone());
        }
    }
    (before.into(), after.into())
}

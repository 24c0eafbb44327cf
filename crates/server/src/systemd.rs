//! What systemd is told, where it asked (`NOTIFY_SOCKET`): that this process serves, how it is, that it is to be left running
//! (the watchdog), and that it ends.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;

use crate::{app::App, post::Post};

/// How often it is told, where no watchdog wants to hear more often.
const EVERY: Duration = Duration::from_secs(5);

/// How this process is.
pub(crate) struct State {
    /// For people.
    status: String,
    /// Whether a start anew would mend nothing. A commit that waits for a standby, a database that is gone, a node that
    /// cannot be reached: none of these is mended by it, and what this process knows would be lost.
    is_sound: bool,
}

impl State {
    /// Of what has the record beside it, for as long as that is there.
    pub(crate) fn when_asked(app: &Arc<App>) -> impl Fn() -> Option<Self> + Send + 'static {
        let app = Arc::downgrade(app);
        move || {
            let app = app.upgrade()?;
            let ((tokens, _), position) = (app.gate.size(), app.gate.position().0);
            let gates = app.enforcer.live();
            let is_sound = app.authority.has_writer();
            let cannot = if is_sound { "" } else { "; can change nothing any more" };
            let status = format!("position {position}, {tokens} tokens, {gates} gates{cannot}");
            Some(Self { status, is_sound })
        }
    }

    /// Of a gate without a database, for as long as that is there.
    pub(crate) fn of_gate_when_asked(post: &Arc<Post>) -> impl Fn() -> Option<Self> + Send + 'static {
        let post = Arc::downgrade(post);
        move || {
            let post = post.upgrade()?;
            let ((tokens, _), position) = (post.front.gate.size(), post.front.gate.position().0);
            let follows =
                if post.follower.status().is_connected() { "follows a node" } else { "follows no node" };
            Some(Self { status: format!("{follows}, position {position}, {tokens} tokens"), is_sound: true })
        }
    }

    /// What is told of it.
    fn told(&self, is_watched: bool) -> Vec<NotifyState<'_>> {
        let mut told = vec![NotifyState::Status(&self.status)];
        if is_watched && self.is_sound {
            told.push(NotifyState::Watchdog);
        }
        told
    }
}

/// Says that this process serves, and from then on how it is. A task of the runtime says it, so that a runtime that does not turn
/// any more says nothing, and is started anew.
pub(crate) fn serving(state: impl Fn() -> Option<State> + Send + 'static) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    tell(&[NotifyState::Ready]);
    let patience = sd_notify::watchdog_enabled();
    let every = patience.map_or(EVERY, |patience| (patience / 2).min(EVERY)).max(Duration::from_millis(1));
    tokio::spawn(async move {
        while let Some(state) = state() {
            tell(&state.told(patience.is_some()));
            tokio::time::sleep(every).await;
        }
    });
}

/// Says that this process is about to end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(what) {
        tracing::debug!(error = %why, "systemd could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(is_sound: bool, is_watched: bool) -> Vec<String> {
        let state = State { status: "well".to_owned(), is_sound };
        state.told(is_watched).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_watchdog_is_calmed_only_where_a_start_anew_would_mend_nothing() {
        assert_eq!(told(true, true), ["STATUS=well", "WATCHDOG=1"]);
        assert_eq!(told(false, true), ["STATUS=well"]);
        assert_eq!(told(true, false), ["STATUS=well"]);
    }
}

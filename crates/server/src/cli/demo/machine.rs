//! The chapter about machines: whoever made their token may go.

use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::{
    COLLEAGUE, PASSWORD, Stage, cache,
    play::{Call, Player},
    show,
};

impl Player {
    /// A colleague makes a token for a machine, and is locked out; the machine goes on.
    pub(super) async fn outlive(&mut self, stage: &Stage, admin: &str) -> anyhow::Result<()> {
        show::chapter(6, "Give a machine a token, and let the one who made it go");
        show::note(
            "A colleague logs in, shows the password once more (sudo), and makes an automation token.",
        );
        let login = [("username", COLLEAGUE), ("password", PASSWORD), ("name", "laptop")];
        let mine = self.expect(stage.form("/tokens", "", &login), StatusCode::OK, "access_token").await?;
        let (mine, id) = (text(&mine, "access_token"), text(&mine, "user_id"));
        let sudo = stage.form("/sudo", &mine, &[("password", PASSWORD)]);
        self.expect(sudo, StatusCode::OK, "expiry_time").await?;
        let wanted = [("name", "ci"), ("role", "engineer"), ("scope", "purge_select")];
        let made = stage.form("/automation-tokens", &mine, &wanted);
        let machine = self.expect(made, StatusCode::OK, "kga_").await?;
        let machine = text(&machine, "access_token");

        show::note(
            "Then they are locked out. Their own token is refused at once; the machine's is the company's.",
        );
        let locked =
            Call { method: Method::PUT, ..stage.form(&format!("/user/{id}"), admin, &[("locked", "true")]) };
        self.expect(locked, StatusCode::OK, "\"locked\":true").await?;
        let tried = stage.api(Method::GET, "/current_user", &mine);
        self.expect(tried, StatusCode::UNAUTHORIZED, "owner_disabled").await?;
        let purge = format!("/service/{}/purge/{}", stage.shop, cache::KEY);
        self.expect(stage.api(Method::POST, &purge, &machine), StatusCode::OK, "ok").await?;
        Ok(())
    }
}

impl Stage {
    /// A form that is posted, with a token or without.
    fn form(&self, path: &str, token: &str, fields: &[(&'static str, &str)]) -> Call {
        let mut call = self.api(Method::POST, path, token);
        call.headers.retain(|(_, value)| !value.is_empty());
        call.form = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        call
    }
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

//! The tutorial: what is asked, what must come back.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use keygate_authority::factor;
use keygate_model::Timestamp;
use serde_json::Value;

use super::{LOGIN, PASSWORD, Stage, cache, show};
use crate::{app::App, edge::Stopwatch};

/// One call of the tutorial.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) host: SocketAddr,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) form: Vec<(&'static str, String)>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
    pub(super) cache: Option<String>,
    pub(super) milliseconds: f64,
}

/// Plays calls and remembers whether each answered as it should.
pub(super) struct Player {
    client: Client<HttpConnector, Body>,
    good: bool,
}

/// Plays the tutorial. False if any step answered otherwise than it should.
pub(super) async fn tutorial(app: &App, stage: &Stage) -> anyhow::Result<bool> {
    let mut player = Player { client: Client::builder(TokioExecutor::new()).build_http(), good: true };
    let [admin, purger, purger_id] = player.make_tokens(app, stage).await?;
    player.purge(stage, &purger).await?;
    player.be_refused(stage, &purger).await?;
    player.look_and_revoke(stage, &admin, &purger, &purger_id).await?;
    player.outlive(stage, &admin).await?;
    let findings = app.authority.audit().await?;
    show::audit(&findings);
    player.good &= findings.bad.is_empty();
    show::verdict(player.good);
    Ok(player.good)
}

impl Player {
    /// Two tokens of one person: an administrator's, and one that can only purge the shop.
    async fn make_tokens(&mut self, app: &App, stage: &Stage) -> anyhow::Result<[String; 3]> {
        show::chapter(1, "Make tokens, with a password and a one-time code");
        show::note(
            "An administrator's token for later, valid for an hour. The code is the authenticator's previous one;",
        );
        show::note("each code is good for once.");
        let now = app.clock.now();
        let earlier = Timestamp::from_seconds(now.seconds() - 30);
        let hour = crate::json::time(Timestamp::from_seconds(now.seconds() + 3600));
        let code = factor::code_at(&stage.seed, earlier);
        let call = stage.login(&code, &[("name", "admin for an hour"), ("expires_at", &hour)]);
        let admin = self.expect(call, StatusCode::OK, "access_token").await?;

        show::note("A token for a deploy job: it can purge the shop by key or URL, and nothing else.");
        let code = factor::code_at(&stage.seed, app.clock.now());
        let call =
            stage.login(&code, &[("name", "deploy"), ("scope", "purge_select"), ("services[]", &stage.shop)]);
        let purger = self.expect(call, StatusCode::OK, "access_token").await?;
        let member = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();

        show::note("Without a code, or with a used one, the password alone is worth nothing.");
        let call = stage.login(&code, &[("name", "again")]);
        self.expect(call, StatusCode::BAD_REQUEST, "otp_already_used").await?;
        Ok([member(&admin, "access_token"), member(&purger, "access_token"), member(&purger, "id")])
    }

    async fn purge(&mut self, stage: &Stage, purger: &str) -> anyhow::Result<()> {
        show::chapter(2, "Use the token");
        show::note("The shop's front page is cached: the second visit is a HIT of the same printing.");
        self.expect(stage.visit("shop"), StatusCode::OK, "printing 1").await?;
        self.expect(stage.visit("shop"), StatusCode::OK, "HIT").await?;
        let path = format!("/service/{}/purge/{}", stage.shop, cache::KEY);
        self.expect(stage.api(Method::POST, &path, purger), StatusCode::OK, "ok").await?;
        show::note("Purged: the next visit is a MISS, and printed anew.");
        self.expect(stage.visit("shop"), StatusCode::OK, "printing 2").await?;
        Ok(())
    }

    async fn be_refused(&mut self, stage: &Stage, purger: &str) -> anyhow::Result<()> {
        show::chapter(3, "Be refused what the token may not do");
        show::note(
            "Everything at once, another service, reading, making tokens: none of it is in its scope or services.",
        );
        let all = format!("/service/{}/purge_all", stage.shop);
        self.expect(stage.api(Method::POST, &all, purger), StatusCode::FORBIDDEN, "insufficient_scope")
            .await?;
        let other = format!("/service/{}/purge/{}", stage.blog, cache::KEY);
        self.expect(stage.api(Method::POST, &other, purger), StatusCode::FORBIDDEN, "service_not_granted")
            .await?;
        self.expect(stage.api(Method::GET, "/service", purger), StatusCode::FORBIDDEN, "insufficient_scope")
            .await?;
        self.expect(stage.api(Method::POST, "/tokens", purger), StatusCode::FORBIDDEN, "insufficient_scope")
            .await?;
        Ok(())
    }

    async fn look_and_revoke(
        &mut self,
        stage: &Stage,
        admin: &str,
        purger: &str,
        purger_id: &str,
    ) -> anyhow::Result<()> {
        show::chapter(4, "See what happened");
        let events = "/events?page[size]=5";
        let log = self.expect(stage.api(Method::GET, events, admin), StatusCode::OK, "token.create").await?;
        show::events(&log);
        show::chapter(5, "Revoke it, and be refused at once");
        let path = format!("/tokens/{purger_id}");
        self.expect(stage.api(Method::DELETE, &path, admin), StatusCode::NO_CONTENT, "").await?;
        let path = format!("/service/{}/purge/{}", stage.shop, cache::KEY);
        self.expect(stage.api(Method::POST, &path, purger), StatusCode::UNAUTHORIZED, "token_revoked")
            .await?;
        let log = self.expect(stage.api(Method::GET, events, admin), StatusCode::OK, "token.destroy").await?;
        show::events(&log);
        Ok(())
    }

    /// Makes a call, shows it, and holds its answer against what it should be.
    pub(super) async fn expect(
        &mut self,
        call: Call,
        status: StatusCode,
        says: &str,
    ) -> anyhow::Result<Value> {
        let answer = self.call(&call).await?;
        let seen = format!("{} {}", answer.cache.as_deref().unwrap_or_default(), answer.body);
        let good = answer.status == status && seen.contains(says);
        show::call(&call, &answer, good);
        self.good &= good;
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    }

    async fn call(&self, call: &Call) -> anyhow::Result<Answer> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(call.form.iter().map(|(name, value)| (*name, value.as_str())));
        let uri = format!("http://{}{}", call.host, call.path.replace('[', "%5B").replace(']', "%5D"));
        let mut request = Request::builder().method(call.method.clone()).uri(uri);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if !call.form.is_empty() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let watch = Stopwatch::start();
        let response = self.client.request(request.body(Body::from(form.finish()))?).await;
        let response = response.with_context(|| format!("{} did not answer", call.host))?;
        let status = response.status();
        let cache =
            response.headers().get("x-cache").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = axum::body::to_bytes(Body::new(response.into_body()), 1 << 20).await?;
        let milliseconds = watch.elapsed().as_secs_f64() * 1000.0;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), cache, milliseconds })
    }
}

impl Stage {
    fn login(&self, code: &str, fields: &[(&'static str, &str)]) -> Call {
        let who = [("username", LOGIN), ("password", PASSWORD)];
        let form = who.iter().chain(fields).map(|(name, value)| (*name, (*value).to_owned())).collect();
        let headers = vec![("Fastly-OTP", code.to_owned())];
        Call { method: Method::POST, host: self.address, path: "/tokens".to_owned(), headers, form }
    }

    pub(super) fn api(&self, method: Method, path: &str, token: &str) -> Call {
        let headers = vec![("Fastly-Key", token.to_owned())];
        Call { method, host: self.address, path: path.to_owned(), headers, form: Vec::new() }
    }

    fn visit(&self, name: &str) -> Call {
        let headers = vec![("Host", format!("{name}.example"))];
        Call { method: Method::GET, host: self.cache, path: "/".to_owned(), headers, form: Vec::new() }
    }
}

//! What is asked: each route once or more, with parameters that are as they should be, so that the answer is about access.

use crate::estate::{Names, filled, template};

/// A request.
pub(super) struct Row {
    /// The route as the router has it.
    pub(super) on: &'static str,
    /// Which of several requests on the route this is.
    pub(super) about: &'static str,
    path: &'static str,
    pub(super) body: Body,
}

pub(super) enum Body {
    None,
    Form(&'static str),
    Api(&'static str),
}

impl Row {
    pub(super) fn method(&self) -> &'static str {
        self.on.split_once(' ').expect("a method").0
    }

    /// The path: that of the route with one of everything, unless the row says otherwise.
    pub(super) fn path(&self, names: &Names) -> String {
        let route = self.on.split_once(' ').expect("a path").1;
        let path = if self.path.is_empty() { route } else { self.path };
        filled(&template(path), names)
    }

    fn form(mut self, body: &'static str) -> Self {
        self.body = Body::Form(body);
        self
    }

    fn api(mut self, body: &'static str) -> Self {
        self.body = Body::Api(body);
        self
    }

    fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    fn path_is(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }
}

fn on(on: &'static str) -> Row {
    Row { on, about: "", path: "", body: Body::None }
}

/// Every request of the matrix.
pub(super) fn rows() -> Vec<Row> {
    [tokens(), people(), customers(), permissions(), services(), rest()].into_iter().flatten().collect()
}

fn tokens() -> Vec<Row> {
    vec![
        on("POST /tokens").form("name=x"),
        on("POST /tokens")
            .about("with login and password")
            .form("username=<login>&password=correct+horse+battery+staple"),
        on("GET /tokens"),
        on("DELETE /tokens").about("one's own").api(r#"{"data":[{"type":"token","id":"<mine>"}]}"#),
        on("DELETE /tokens").about("somebody else's").api(r#"{"data":[{"type":"token","id":"<token>"}]}"#),
        on("DELETE /tokens").about("an automation token").api(r#"{"data":[{"type":"token","id":"<bot>"}]}"#),
        on("GET /tokens/self"),
        on("DELETE /tokens/self"),
        on("GET /tokens/{token}").about("one's own").path_is("/tokens/<mine>"),
        on("GET /tokens/{token}").about("somebody else's"),
        on("GET /tokens/{token}").about("an automation token").path_is("/tokens/<bot>"),
        on("DELETE /tokens/{token}").about("one's own").path_is("/tokens/<mine>"),
        on("DELETE /tokens/{token}").about("somebody else's"),
        on("DELETE /tokens/{token}").about("an automation token").path_is("/tokens/<bot>"),
        on("GET /customer/{customer}/tokens"),
        on("POST /sudo").form("password=correct+horse+battery+staple"),
        on("GET /verify"),
        on("POST /automation-tokens").form("name=x&role=user"),
        on("POST /automation-tokens").about("role engineer").form("name=x&role=engineer"),
        on("POST /automation-tokens")
            .about("with the right to make more")
            .form("name=x&role=user&scope=global+automation_token%3Amint"),
        on("GET /automation-tokens"),
        on("GET /automation-tokens/{token}"),
        on("GET /automation-tokens/{token}/services"),
        on("GET /automation-tokens/{token}/workspaces"),
        on("DELETE /automation-tokens/{token}"),
    ]
}

fn people() -> Vec<Row> {
    vec![
        on("GET /current_user"),
        on("POST /current_user/password")
            .form("old_password=correct+horse+battery+staple&new_password=wholly+other+words"),
        on("POST /current_user/two_factor"),
        on("PUT /current_user/two_factor").form("code=<otp>"),
        on("DELETE /current_user/two_factor"),
        on("POST /user").form("login=somebody%40example.org&name=x&role=user"),
        on("GET /user/{user}").about("oneself").path_is("/user/<me>"),
        on("GET /user/{user}").about("somebody else"),
        on("PUT /user/{user}").about("one's own name").path_is("/user/<me>").form("name=x"),
        on("PUT /user/{user}").about("one's own role").path_is("/user/<me>").form("role=billing"),
        on("PUT /user/{user}").about("somebody else's name").form("name=x"),
        on("PUT /user/{user}").about("somebody else's role").form("role=superuser"),
        on("PUT /user/{user}").about("locking somebody else").form("locked=true"),
        on("DELETE /user/{user}").path_is("/user/<gone>"),
        on("POST /user/{user}/password/request_reset").path_is("/user/<login>/password/request_reset"),
        on("POST /password/reset").form("code=<reset>&password=wholly+other+words"),
    ]
}

fn customers() -> Vec<Row> {
    vec![
        on("GET /current_customer"),
        on("GET /customer/{customer}"),
        on("PUT /customer/{customer}").form("name=x"),
        on("PUT /customer/{customer}").about("its networks").form("ip_whitelist=127.0.0.0%2F8"),
        on("DELETE /customer/{customer}"),
        on("GET /customer/{customer}/users"),
        on("GET /customer/{customer}/contacts"),
        on("POST /customer/{customer}/contacts")
            .api(r#"{"data":{"attributes":{"contact_type":"billing","user_id":"<user>"}}}"#),
        on("DELETE /customer/{customer}/contacts/{contact}"),
        on("GET /invitations"),
        on("POST /invitations")
            .about("as user")
            .api(r#"{"data":{"attributes":{"email":"a@example.org","role":"user"}}}"#),
        on("POST /invitations")
            .about("as engineer")
            .api(r#"{"data":{"attributes":{"email":"a@example.org","role":"engineer"}}}"#),
        on("POST /invitations")
            .about("as superuser")
            .api(r#"{"data":{"attributes":{"email":"a@example.org","role":"superuser"}}}"#),
        on("DELETE /invitations/{invitation}"),
        on("PUT /invitation/accept/{code}").form("name=x&password=wholly+other+words"),
    ]
}

fn permissions() -> Vec<Row> {
    vec![
        on("GET /service-authorizations"),
        on("POST /service-authorizations").api(
            r#"{"data":{"attributes":{"permission":"full"},"relationships":{"service":{"data":{"id":"<service>"}},
                "user":{"data":{"id":"<user>"}}}}}"#,
        ),
        on("PATCH /service-authorizations")
            .api(r#"{"data":[{"id":"<authorization>","attributes":{"permission":"read_only"}}]}"#),
        on("DELETE /service-authorizations").api(r#"{"data":[{"id":"<authorization>"}]}"#),
        on("GET /service-authorizations/{authorization}"),
        on("PATCH /service-authorizations/{authorization}").api(r#"{"data":{"attributes":{"permission":"read_only"}}}"#),
        on("DELETE /service-authorizations/{authorization}"),
        on("GET /iam/v1/roles"),
        on("GET /iam/v1/roles/{role}"),
        on("GET /roles"),
        on("GET /roles/{role}"),
        on("GET /roles/{role}/permissions"),
        on("GET /permissions"),
        on("GET /service-groups"),
        on("GET /service-groups/{group}"),
        on("GET /service-groups/{group}/services"),
        on("GET /user-groups"),
        on("GET /user-groups/{group}"),
        on("GET /user-groups/{group}/members"),
        on("GET /user-groups/{group}/roles"),
        on("GET /user-groups/{group}/service-groups"),
    ]
}

fn services() -> Vec<Row> {
    vec![
        on("GET /service"),
        on("POST /service").form("name=x"),
        on("GET /service/search").path_is("/service/search?name=shop+service"),
        on("GET /service/{service}"),
        on("GET /service/{service}").about("another one").path_is("/service/<other_service>"),
        on("PUT /service/{service}").form("comment=x"),
        on("DELETE /service/{service}"),
        on("GET /service/{service}/details"),
        on("GET /service/{service}/domain"),
        on("GET /service/{service}/version"),
        on("POST /service/{service}/version"),
        on("GET /service/{service}/version/{number}"),
        on("PUT /service/{service}/version/{number}").form("comment=x"),
        on("PUT /service/{service}/version/{number}/clone"),
        on("PUT /service/{service}/version/{number}/lock"),
        on("PUT /service/{service}/version/{number}/activate"),
        on("PUT /service/{service}/version/{number}/activate/{environment}"),
        on("PUT /service/{service}/version/{number}/deactivate"),
        on("PUT /service/{service}/version/{number}/deactivate/{environment}"),
        on("GET /service/{service}/version/{number}/domain"),
        on("GET /service/{service}/version/{number}/validate"),
        on("POST /service/{service}/purge").api(r#"{"surrogate_keys":["a"]}"#),
        on("POST /service/{service}/purge/{key}"),
        on("POST /service/{service}/purge_all"),
        on("POST /service/{service}/purge_all")
            .about("another one")
            .path_is("/service/<other_service>/purge_all"),
        on("POST /purge/{*url}"),
    ]
}

fn rest() -> Vec<Row> {
    vec![
        on("GET /denials/{denial}"),
        on("GET /events"),
        on("GET /events/{event}"),
        on("GET /feed"),
        on("POST /feed/lease").form("name=x"),
        on("POST /tokens/mass-revoke").form("all=true&dry_run=true"),
        on("GET /realms/fastly/.well-known/openid-configuration"),
        on("GET /openapi.json"),
        on("GET /livez"),
        on("GET /readyz"),
        on("GET /metrics"),
        on("POST /oauth/introspect").form("token=<bot_secret>"),
        on("POST /oauth/revoke").about("one's own").form("token=<my_secret>"),
        on("POST /oauth/revoke").about("somebody else's").form("token=<secret>"),
        on("POST /oauth/revoke").about("an automation token").form("token=<bot_secret>"),
        on("GET /.well-known/oauth-authorization-server"),
        on("GET /.well-known/oauth-protected-resource"),
        on("GET /.well-known/jwks.json"),
    ]
}

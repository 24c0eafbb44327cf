//! One of everything that a customer can have, by the names that requests use for them: `<token>`, `<user>` …

use std::collections::BTreeMap;

use keygate_authority::service::NewService;
use keygate_model::{CustomerId, Permit, authorization::Permission, link::LinkCode, user::Login};
use serde_json::{Value, json};

use crate::house::{House, PASSWORD, Person, Token};

/// What is put in the place of `<name>`.
pub(crate) type Names = BTreeMap<&'static str, String>;

/// One of everything of a customer, and a superuser of it.
pub(crate) struct Estate {
    pub(crate) customer: CustomerId,
    pub(crate) names: Names,
}

/// A route's path with `<name>` for each parameter: one of everything, or a word that is as it should be.
pub(crate) fn template(path: &str) -> String {
    let token = if path.starts_with("/automation-tokens") { "<bot>" } else { "<token>" };
    let words = [
        ("{token}", token),
        ("{*url}", "<host>/a"),
        ("{key}", "key"),
        ("{role}", "engineer"),
        ("{group}", "<event>"),
        ("{number}", "1"),
        ("{environment}", "staging"),
    ];
    let path = words.iter().fold(path.to_owned(), |path, (parameter, word)| path.replace(parameter, word));
    path.replace('{', "<").replace('}', ">")
}

/// A text with every `<name>` replaced.
pub(crate) fn filled(text: &str, names: &Names) -> String {
    let filled =
        names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("<{name}>"), value));
    assert!(!filled.contains('<'), "a name that nothing has: {filled}");
    filled
}

impl Estate {
    /// Furnishes a customer. `lead` is a token of a superuser of it, in sudo.
    pub(crate) async fn new(house: &House, customer: CustomerId, lead: &Token, tag: &str) -> Self {
        let mut names = Names::new();
        let host = format!("{tag}.example.com");
        for (name, host) in [("service", Some(&host)), ("other_service", None)] {
            let new = NewService {
                name: format!("{tag} {name}"),
                domains: host.into_iter().cloned().collect(),
                ..NewService::default()
            };
            names.insert(name, house.service_of(customer, new).await);
        }
        let login = format!("vic@{host}");
        let vic = house.node.person(customer, &login, "user", PASSWORD).await;
        let gone = house.node.person(customer, &format!("gone@{host}"), "user", PASSWORD).await;
        let token = house.token(&vic, &[]).await;
        names.extend([("customer", customer.to_string()), ("host", host), ("login", login)]);
        names.extend([("user", vic.id.to_string()), ("gone", gone.id.to_string()), ("token", token.id)]);
        names.insert("secret", token.secret);
        names.insert("reset", reset(house, customer, &vic).await);
        let mut estate = Self { customer, names };
        estate.ask_for_the_rest(house, lead).await;
        estate
    }

    /// What is made by asking for it, as the superuser.
    async fn ask_for_the_rest(&mut self, house: &House, lead: &Token) {
        let caller = house.with(lead);
        let id = |body: &Value| body["id"].as_str().expect("an id").to_owned();
        let bot =
            caller.ask("POST", "/automation-tokens").json(&json!({ "name": "bot", "role": "engineer" }));
        let bot = bot.send().await.json();
        self.names.insert("bot", id(&bot));
        self.names.insert("bot_secret", bot["access_token"].as_str().expect("a secret").to_owned());
        let posts = [
            ("invitation", "/invitations", r#"{"data":{"attributes":{"email":"new@<host>"}}}"#),
            ("authorization", "/service-authorizations", GRANT),
            ("contact", "/customer/<customer>/contacts", CONTACT),
        ];
        for (name, path, body) in posts {
            let (path, body) = (filled(path, &self.names), filled(body, &self.names));
            let made = caller.ask("POST", &path).body("application/vnd.api+json", &body).send().await;
            assert!([200, 201].contains(&made.status), "{name}: {made:?}");
            self.names.insert(name, id(&made.json()["data"]));
        }
        let events = caller.get("/events").await.json();
        self.names.insert("event", id(&events["data"][0]));
        let vic = house.anon().showing(&self.names["secret"]);
        let refused = vic.proxied("GET", "/nowhere").send().await;
        let denial = refused.header("x-authz-id").expect("the id of a refusal").to_owned();
        self.names.insert("denial", denial);
        self.names.insert("code", invited(house, self.customer, &self.names["host"]).await);
    }
}

/// Gives the person full permission on the service that is not anybody's only one.
const GRANT: &str = r#"{"data":{"attributes":{"permission":"full"},"relationships":{
    "service":{"data":{"id":"<other_service>"}},"user":{"data":{"id":"<user>"}}}}}"#;

const CONTACT: &str = r#"{"data":{"attributes":{"contact_type":"billing","user_id":"<user>"}}}"#;

/// The code of an invitation.
async fn invited(house: &House, customer: CustomerId, host: &str) -> String {
    let app = &house.node.app;
    let new = keygate_authority::invitation::NewInvitation {
        id: keygate_model::InvitationId::from_bytes(app.rng.bytes().expect("chance")),
        email: Login::parse(&format!("invited@{host}")).expect("a login"),
        role: "user".to_owned(),
        limited: false,
        grants: Vec::new(),
        code: LinkCode::new(&app.rng.bytes().expect("chance")),
    };
    let sent = app.authority.invite(&Permit::of_the_operator(customer), &app.local_origin(), new).await;
    sent.expect("an invitation").code.reveal().to_string()
}

/// The code of a link that sets a new password.
async fn reset(house: &House, customer: CustomerId, person: &Person) -> String {
    let app = &house.node.app;
    let (login, code) = (Login::parse(&person.login).expect("a login"), app.rng.bytes().expect("chance"));
    let (permit, origin) = (Permit::of_the_operator(customer), app.local_origin());
    let made = app.authority.request_reset(Some(&permit), &origin, login, LinkCode::new(&code)).await;
    made.expect("no fault").expect("a link").code.reveal().to_string()
}

impl House {
    pub(crate) async fn service_of(&self, customer: CustomerId, new: NewService) -> String {
        let (permit, app) = (Permit::of_the_operator(customer), &self.node.app);
        let id = app.service_id().expect("chance");
        let made = app.authority.create_service(&permit, &app.local_origin(), id, new).await;
        made.expect("a service").id.to_string()
    }

    /// Limits a person to a service, on which they may do this.
    pub(crate) async fn limit(&self, person: &Person, service: &str, permission: Permission) {
        let (permit, app) = (self.operator(), &self.node.app);
        let changes = keygate_authority::user::Changes { limited: Some(true), ..Default::default() };
        app.authority.update_user(&permit, &app.local_origin(), person.id, changes).await.expect("limited");
        let new = keygate_authority::user::NewAuthorization {
            id: keygate_model::AuthorizationId::from_bytes(app.rng.bytes().expect("chance")),
            user: person.id,
            service: service.parse().expect("an id"),
            permission,
        };
        app.authority.create_authorization(&permit, &app.local_origin(), new).await.expect("granted");
    }

    /// A second customer with a superuser, and a token of theirs in sudo.
    pub(crate) async fn neighbour(&self) -> (CustomerId, Person, Token) {
        let app = &self.node.app;
        let id = app.customer_id().expect("chance");
        let id = app.authority.create_customer(&app.local_origin(), id, "Beta").await.expect("a customer").id;
        let boris = self.node.person(id, "boris@beta.example", "superuser", PASSWORD).await;
        let token = self.token(&boris, &[]).await;
        self.sudo(&token).await;
        (id, boris, token)
    }
}

//! What must be true for a recorded request to be asked again, and the asking.

use std::time::Duration;

use keygate_authority::service::NewService;
use keygate_model::{
    Secret,
    token::{Brand, Kind},
};
use serde_json::{Value, json};

use super::{Scene as As, cassette::Request};
use crate::house::{Ask, Cache, Caller, House, PASSWORD, Person, Reply, Token};

/// A house in which the recorded request means something.
pub(super) struct Stage {
    house: House,
    scene: As,
    caller: Caller,
    token: Token,
    cache: Cache,
    /// How many services and people were made.
    services: usize,
    people: usize,
    /// The tokens that requests before this one have made.
    made: Vec<String>,
}

impl Stage {
    pub(super) async fn new(scene: As) -> Self {
        let house = House::new().await;
        let cache = Cache::start().await;
        let new = NewService { name: "the first".to_owned(), ..NewService::default() };
        let token = match scene {
            As::Limited => {
                let service = house.service(new).await;
                house.token(&house.ada, &[("services[]", &service)]).await
            }
            As::Expired => house.token(&house.ada, &[("expires_at", "2027-01-15T08:01:00Z")]).await,
            _ => house.token(&house.ada, &[]).await,
        };
        let nobodys = Secret::mint(&Brand::default(), Kind::User, &[1; 32]).reveal();
        let caller = match scene {
            As::Elsewhere(_) => house.anon().showing(&nobodys),
            _ => house.with(&token),
        };
        house.advance(Duration::from_secs(60));
        Self { house, scene, caller, token, cache, services: 0, people: 0, made: Vec::new() }
    }

    /// Asks what was asked.
    pub(super) async fn ask(&mut self, recorded: &Request) -> Reply {
        let (mut template, query) = recorded.template();
        let mut method = recorded.method.clone();
        if let As::Elsewhere(on) = self.scene {
            let (here, path) = on.split_once(' ').expect("a method and a path");
            (method, template) = (here.to_owned(), path.to_owned());
        }
        let path = self.fill(&method, &template, query).await;
        let mut ask = self.caller.ask(&method, &format!("{path}{query}"));
        for (name, values) in recorded.headers.iter().filter(|(name, _)| *name != "Content-Type") {
            ask = values.iter().fold(ask, |ask, value| ask.header(name, value));
        }
        let purges = self.cache.purges();
        if template == "/user/{user}" && method == "PUT" {
            // The recorded role is a superuser's, which is given here by somebody who has just shown their password.
            self.house.sudo(&self.token).await;
        }
        let reply = self.with_body(ask, recorded).await.send().await;
        assert_eq!(self.cache.purges() > purges, template.contains("purge") && reply.status == 200, "{path}");
        if method == "POST" && template == "/tokens" {
            self.made.push(reply.json()["id"].as_str().expect("an id").to_owned());
        }
        reply
    }

    /// The base of links that we give.
    pub(super) fn base(&self) -> String {
        format!("http://{}", self.caller.address)
    }

    /// Puts ids that mean something into their places.
    async fn fill(&mut self, method: &str, template: &str, query: &str) -> String {
        let mut path = template.to_owned();
        if path.contains("{service}") || path.contains("/search") || (path == "/service" && !query.is_empty())
        {
            let service = self.service(template, query).await;
            path = path.replace("{service}", &service);
        }
        if self.scene == As::Machine {
            path = path.replace("{token}", &self.machine().await);
        }
        if path.contains("{token}") {
            path = path.replace("{token}", &self.house.token(&self.house.ada, &[]).await.id);
        }
        if path.contains("{user}") {
            let person = self.person().await;
            if self.scene == As::Deleted {
                assert_eq!(self.caller.delete(&format!("/user/{}", person.id)).await.status, 200);
            }
            let name = if path.contains("/password/") { person.login } else { person.id.to_string() };
            path = path.replace("{user}", &name);
        }
        if path.starts_with("/service-authorizations") && method != "POST" {
            path = path.replace("{authorization}", &self.authorization().await);
        }
        if path.starts_with("/events") {
            self.happen().await;
            let newest = self.caller.get("/events?page[size]=1").await.json();
            path = path.replace("{event}", newest["data"][0]["id"].as_str().expect("an event"));
        }
        // The version that every service has.
        path.replace("{customer}", &self.house.customer.to_string()).replace("{number}", "1")
    }

    /// The token of a machine.
    async fn machine(&mut self) -> String {
        self.house.sudo(&self.token).await;
        let order = json!({ "name": "a machine", "role": "engineer" });
        let made = self.caller.ask("POST", "/automation-tokens").json(&order).send().await.json();
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Somebody else in the customer.
    async fn person(&mut self) -> Person {
        self.people += 1;
        let login = format!("grace+{}@example.com", self.people);
        self.house.node.person(self.house.customer, &login, "engineer", PASSWORD).await
    }

    /// What somebody is given on a service.
    async fn authorization(&mut self) -> String {
        let (service, user) = (self.new_service(None, "").await, self.person().await.id);
        let related = json!({
            "service": { "data": { "type": "service", "id": service } },
            "user": { "data": { "type": "user", "id": user } },
        });
        let wanted = json!({ "data": {
            "type": "service_authorization", "attributes": { "permission": "full" }, "relationships": related,
        } });
        let made = self.caller.ask("POST", "/service-authorizations").json(&wanted).send().await.json();
        let id = made["data"]["id"].as_str().expect("an id").to_owned();
        if self.scene == As::Deleted {
            let path = format!("/service-authorizations/{id}");
            assert_eq!(self.caller.delete(&path).await.status, 204);
        }
        id
    }

    /// The service that the request is about. Every request gets one of its own.
    async fn service(&mut self, template: &str, query: &str) -> String {
        if self.scene == As::Fleet {
            while self.services < 258 {
                self.new_service(None, "").await;
            }
            return String::new();
        }
        let service = self.new_service(query.strip_prefix("?name="), template).await;
        if self.scene == As::Deleted {
            assert_eq!(self.caller.delete(&format!("/service/{service}")).await.status, 200);
        }
        service
    }

    async fn new_service(&mut self, name: Option<&str>, template: &str) -> String {
        self.services += 1;
        let mut new = NewService { name: format!("service {}", self.services), ..NewService::default() };
        if let Some(name) = name {
            name.clone_into(&mut new.name);
        }
        if template.contains("purge") {
            (new.domains, new.nodes) = (vec!["shop.example".to_owned()], vec![self.cache.url()]);
        }
        self.house.service(new).await
    }

    /// Something that somebody does to a service.
    async fn happen(&mut self) {
        let service = self.new_service(None, "").await;
        let reply =
            self.caller.ask("PUT", &format!("/service/{service}")).form(&[("name", "another")]).send().await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// The recorded body with our names in it: the same fields in the same order.
    async fn with_body(&mut self, ask: Ask, recorded: &Request) -> Ask {
        let Some([kind]) = recorded.headers.get("Content-Type").map(Vec::as_slice) else { return ask };
        if kind != "application/x-www-form-urlencoded" {
            return ask.body(kind, &self.with_our_ids(&recorded.body).await);
        }
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(recorded.body.as_bytes()) {
            let value = match &*name {
                "username" => self.house.ada.login.clone(),
                "password" => PASSWORD.to_owned(),
                "services[]" => self.new_service(None, "").await,
                _ => value.into_owned(),
            };
            fields.push((name, value));
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        ask.body(kind, &crate::house::form(&fields))
    }

    /// A recorded document with the ids of what is here in the places of theirs.
    async fn with_our_ids(&mut self, body: &str) -> String {
        let parsed: Value = serde_json::from_str(body).expect("JSON");
        let id = |value: &Value| value.as_str().expect("an id").to_owned();
        let mut ours = Vec::new();
        if let Some(tokens) = parsed["data"].as_array() {
            assert_eq!(tokens.len(), self.made.len(), "what was made before");
            ours.extend(tokens.iter().map(|token| id(&token["id"])).zip(self.made.clone()));
        }
        for (noun, related) in parsed["data"]["relationships"].as_object().into_iter().flatten() {
            let one = match noun.as_str() {
                "user" => self.person().await.id.to_string(),
                _ => self.new_service(None, "").await,
            };
            ours.push((id(&related["data"]["id"]), one));
        }
        for service in parsed["services"].as_array().into_iter().flatten() {
            ours.push((id(service), self.new_service(None, "").await));
        }
        ours.iter().fold(body.to_owned(), |body, (theirs, ours)| body.replace(theirs, ours))
    }

    /// What must be so after the last request.
    pub(super) async fn check(&self, name: &str) {
        let lives = self.house.with(&self.token).get("/tokens/self").await.status;
        let expected = if name.contains("delete_self") || self.scene == As::Expired { 401 } else { 200 };
        assert_eq!(lives, expected, "{name}");
        for id in self.made.iter().filter(|_| name.contains("bulk_delete")) {
            assert_eq!(self.caller.get(&format!("/tokens/{id}")).await.status, 404, "{name}");
        }
        if name.contains("reset_password") {
            let letter = self.house.letter().await;
            assert_eq!([&letter["kind"], &letter["to"]], ["password_reset", "grace+1@example.com"]);
        }
    }
}

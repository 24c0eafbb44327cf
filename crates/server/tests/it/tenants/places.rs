//! Where an id can stand in a request, other than in its path: query and body.

/// A place: what is asked, with `<id>` where the id stands.
pub(super) struct Place {
    pub(super) query: &'static str,
    pub(super) kind: &'static str,
    pub(super) body: &'static str,
}

const fn query(query: &'static str) -> Place {
    Place { query, kind: "", body: "" }
}

const fn form(body: &'static str) -> Place {
    Place { query: "", kind: "application/x-www-form-urlencoded", body }
}

const fn json(body: &'static str) -> Place {
    Place { query: "", kind: "application/vnd.api+json", body }
}

/// Routes that take ids there, with every place. A route stands here or in [`TAKE_NONE`].
pub(super) const PLACES: [(&str, &[Place]); 23] = [
    (
        "POST /tokens",
        &[
            form("name=x&services[]=<id>"),
            form("name=x&services=<id>"),
            form("name=x&service_id=<id>"),
            form("name=x&services[]=<service>&services[]=<id>"),
            form("name=x&customer=<id>"),
            json(r#"{"name":"x","services":["<id>"]}"#),
            json(r#"{"name":"x","services":["<service>","<id>"]}"#),
            json(r#"{"name":"x","scope":"<id>"}"#),
            form("name=x&customer_id=<id>"),
            form("name=x&user_id=<id>"),
        ],
    ),
    (
        "DELETE /tokens",
        &[
            json(r#"{"data":[{"type":"token","id":"<id>"}]}"#),
            json(r#"{"data":[{"type":"token","id":"<token>"},{"type":"token","id":"<id>"}]}"#),
            json(r#"{"data":[{"type":"token","id":"<id>"},{"type":"token","id":"<bot>"}]}"#),
        ],
    ),
    ("POST /oauth/introspect", &[form("token=<id>"), form("token=<bot_secret>&client_id=<id>")]),
    ("POST /oauth/revoke", &[form("token=<id>"), form("token=<id>&client_id=<id>")]),
    ("POST /sudo", &[form("username=<id>&password=correct+horse+battery+staple")]),
    (
        "POST /automation-tokens",
        &[
            json(r#"{"name":"x","services":["<id>"]}"#),
            json(r#"{"name":"x","services":["<service>","<id>"]}"#),
            json(r#"{"name":"x","role":"<id>"}"#),
            json(r#"{"name":"x","roles":["<id>"]}"#),
            json(r#"{"name":"x","workspaces":["<id>"]}"#),
            json(r#"{"name":"x","customer_id":"<id>"}"#),
        ],
    ),
    ("GET /automation-tokens/{token}/workspaces", &[query("cursor=<id>")]),
    ("GET /iam/v1/roles", &[query("cursor=<id>"), query("cursor=1.<id>")]),
    (
        "POST /user",
        &[
            form("login=one%40example.org&customer_id=<id>"),
            form("login=two%40example.org&id=<id>"),
            form("login=three%40example.org&role=<id>"),
        ],
    ),
    (
        "PUT /user/{user}",
        &[form("name=x&customer_id=<id>"), form("name=x&id=<id>"), form("role=<id>"), form("roles=<id>")],
    ),
    (
        "POST /tokens/mass-revoke",
        &[form("owner=<id>"), form("service=<id>"), form("issuer=<id>"), form("parent=<id>")],
    ),
    ("POST /password/reset", &[form("code=<id>&password=wholly+other+words")]),
    ("PUT /customer/{customer}", &[form("owner_id=<id>"), form("id=<id>"), form("billing_contact_id=<id>")]),
    (
        "POST /customer/{customer}/contacts",
        &[
            json(r#"{"data":{"attributes":{"contact_type":"billing","user_id":"<id>"}}}"#),
            json(
                r#"{"data":{"attributes":{"contact_type":"billing","user_id":"<user>","customer_id":"<id>"}}}"#,
            ),
        ],
    ),
    (
        "POST /invitations",
        &[
            json(
                r#"{"data":{"attributes":{"email":"four@example.org"},"relationships":{"customer":{"data":{"id":"<id>"}}}}}"#,
            ),
            json(
                r#"{"data":{"attributes":{"email":"five@example.org"},
                    "relationships":{"service_invitations":{"data":[{"relationships":{"service":{"data":{"id":"<id>"}}}}]}}}}"#,
            ),
            json(r#"{"data":{"attributes":{"email":"six@example.org","role":"<id>"}}}"#),
        ],
    ),
    (
        "POST /service-authorizations",
        &[
            json(
                r#"{"data":{"relationships":{"service":{"data":{"id":"<id>"}},"user":{"data":{"id":"<user>"}}}}}"#,
            ),
            json(
                r#"{"data":{"relationships":{"service":{"data":{"id":"<service>"}},"user":{"data":{"id":"<id>"}}}}}"#,
            ),
            json(
                r#"{"data":{"relationships":{"service":{"data":{"id":"<id>"}},"user":{"data":{"id":"<id>"}}}}}"#,
            ),
        ],
    ),
    (
        "PATCH /service-authorizations",
        &[
            json(r#"{"data":[{"id":"<id>","attributes":{"permission":"full"}}]}"#),
            json(
                r#"{"data":[{"id":"<authorization>","attributes":{"permission":"read_only"}},
                    {"id":"<id>","attributes":{"permission":"full"}}]}"#,
            ),
        ],
    ),
    (
        "DELETE /service-authorizations",
        &[json(r#"{"data":[{"id":"<id>"}]}"#), json(r#"{"data":[{"id":"<authorization>"},{"id":"<id>"}]}"#)],
    ),
    (
        "PATCH /service-authorizations/{authorization}",
        &[json(
            r#"{"data":{"id":"<id>","attributes":{"permission":"full"},
                "relationships":{"user":{"data":{"id":"<id>"}},"service":{"data":{"id":"<id>"}}}}}"#,
        )],
    ),
    ("GET /service/search", &[query("name=<id>")]),
    ("POST /service", &[form("name=<id>&customer_id=<id>")]),
    ("PUT /service/{service}", &[form("comment=x&ServiceID=<id>&customer_id=<id>")]),
    (
        "GET /events",
        &[
            query("filter[customer_id]=<id>"),
            query("filter[user_id]=<id>"),
            query("filter[service_id]=<id>"),
            query("filter[token_id]=<id>"),
            query("filter[user_id]=<id>&sort=created_at&page[size]=1"),
            query("filter[event_type]=<id>"),
            query("sort=<id>"),
        ],
    ),
];

/// Routes whose query and body take no id.
pub(super) const TAKE_NONE: [&str; 77] = [
    "GET /tokens",
    "GET /tokens/self",
    "DELETE /tokens/self",
    "GET /tokens/{token}",
    "GET /denials/{denial}",
    "DELETE /tokens/{token}",
    "GET /customer/{customer}/tokens",
    "GET /verify",
    "GET /automation-tokens",
    "GET /automation-tokens/{token}",
    "GET /automation-tokens/{token}/services",
    "DELETE /automation-tokens/{token}",
    "GET /current_user",
    "POST /current_user/password",
    "POST /current_user/two_factor",
    "PUT /current_user/two_factor",
    "DELETE /current_user/two_factor",
    "GET /user/{user}",
    "DELETE /user/{user}",
    "POST /user/{user}/password/request_reset",
    "GET /current_customer",
    "GET /customer/{customer}",
    "DELETE /customer/{customer}",
    "GET /customer/{customer}/users",
    "GET /customer/{customer}/contacts",
    "DELETE /customer/{customer}/contacts/{contact}",
    "GET /invitations",
    "DELETE /invitations/{invitation}",
    "PUT /invitation/accept/{code}",
    "GET /service-authorizations",
    "GET /service-authorizations/{authorization}",
    "DELETE /service-authorizations/{authorization}",
    "GET /iam/v1/roles/{role}",
    "GET /roles",
    "GET /roles/{role}",
    "GET /roles/{role}/permissions",
    "GET /permissions",
    "GET /service-groups",
    "GET /service-groups/{group}",
    "GET /service-groups/{group}/services",
    "GET /user-groups",
    "GET /user-groups/{group}",
    "GET /user-groups/{group}/members",
    "GET /user-groups/{group}/roles",
    "GET /user-groups/{group}/service-groups",
    "GET /service",
    "GET /service/{service}",
    "DELETE /service/{service}",
    "GET /service/{service}/details",
    "GET /service/{service}/domain",
    "GET /service/{service}/version",
    "POST /service/{service}/version",
    "GET /service/{service}/version/{number}",
    "PUT /service/{service}/version/{number}",
    "PUT /service/{service}/version/{number}/clone",
    "PUT /service/{service}/version/{number}/lock",
    "PUT /service/{service}/version/{number}/activate",
    "PUT /service/{service}/version/{number}/activate/{environment}",
    "PUT /service/{service}/version/{number}/deactivate",
    "PUT /service/{service}/version/{number}/deactivate/{environment}",
    "GET /service/{service}/version/{number}/domain",
    "GET /service/{service}/version/{number}/validate",
    "POST /service/{service}/purge",
    "POST /service/{service}/purge/{key}",
    "POST /service/{service}/purge_all",
    "POST /purge/{*url}",
    "GET /events/{event}",
    "GET /feed",
    "POST /feed/lease",
    "GET /realms/fastly/.well-known/openid-configuration",
    "GET /openapi.json",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/oauth-protected-resource",
    "GET /.well-known/jwks.json",
];

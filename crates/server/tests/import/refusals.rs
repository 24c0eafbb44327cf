//! Documents that cannot be read: the place is named, and there is no policy.

use keygate_server::openapi_import::{Customers, Options, import};

use super::at;

/// What stands before `paths` in the documents here.
const HEAD: &str = "openapi: 3.1.0\ninfo: { title: T, version: 1 }\n";

fn refused(text: &str) -> String {
    import(text, &at("api.example.com")).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (document, place, why) in WRONG {
        let told = refused(document);
        assert!(told.starts_with(place) && told.contains(why), "{document:?} is refused with: {told}");
    }
}

#[test]
fn hosts_are_asked_for_where_the_document_leaves_them_open() {
    for (servers, place, why) in [
        ("", "servers", "the document does not say at which host"),
        ("servers: [{ url: /v1 }]", "servers", "the document does not say at which host"),
        ("servers: [{ url: v1 }]", "servers[0].url", "relative to where the document is served"),
        ("servers: [{}]", "servers[0]", "this has no `url`"),
        ("servers: [{ url: 'https://{h}/' }]", "servers[0]", "the variable \"h\", which has no definition"),
        (
            "servers: [{ url: 'https://{h}/', variables: { h: {} } }]",
            "servers[0].variables.h",
            "no `default`",
        ),
        ("servers: [{ url: 'https://a.b/?x' }]", "servers[0].url", "no query"),
        ("servers: [{ url: 'https://u:p@a.b/' }]", "servers[0].url", "a user name"),
        ("servers: [{ url: 'ftp://a.b/' }]", "servers[0].url", "neither http nor https"),
        ("servers: [{ url: 'https://a.b/../c' }]", "servers[0].url", "not a plain one"),
        ("servers: [{ url: 'https://-/' }]", "servers[0].url", "not the name of a host"),
    ] {
        let text = format!("{HEAD}{servers}\npaths: {{ /a: {{ get: {{}} }} }}");
        let told = import(&text, &Options::named("api")).unwrap_err().to_string();
        assert!(told.starts_with(place) && told.contains(why), "{servers:?} is refused with: {told}");
    }
}

#[test]
fn options_are_read_as_strictly() {
    let text = format!("{HEAD}paths: {{ /a: {{ get: {{}} }} }}");
    let good = || at("api.example.com");
    let roles = |of: &[&str]| vec![("clerk".to_owned(), of.iter().map(|s| (*s).to_owned()).collect())];
    for (options, place) in [
        (Options { name: "Shop".to_owned(), ..good() }, "the name of the policy"),
        (Options { name: String::new(), ..good() }, "the name of the policy"),
        (Options { hosts: vec!["https://a.b".to_owned()], ..good() }, "hosts"),
        (Options { hosts: vec!["a.b:80".to_owned()], ..good() }, "hosts"),
        (Options { customers: Customers::Only(Vec::new()), ..good() }, "customers"),
        (Options { customers: Customers::Only(vec!["?".to_owned()]), ..good() }, "customers"),
        (Options { base_path: Some("v1".to_owned()), ..good() }, "the base path"),
        (Options { roles: roles(&[]), ..good() }, "roles"),
        (Options { roles: roles(&["nothing"]), ..good() }, "roles"),
    ] {
        assert_eq!(import(&text, &options).unwrap_err().place, place);
    }
    import(&text, &Options { roles: roles(&["@read"]), ..good() }).unwrap();
}

#[test]
fn what_would_take_forever_is_refused_at_once() {
    let deep = |open: &str, close: &str, times: usize| {
        format!("{HEAD}x: {}1{}\n", open.repeat(times), close.repeat(times))
    };
    assert!(refused(&deep("[", "]", 900)).contains("recursion limit"));
    assert!(refused(&deep("[", "]", 1_000_000)).contains("nested too deeply"));
    assert!(refused(&deep("{a: ", "}", 1_000_000)).contains("nested too deeply"));
    assert!(
        refused(&format!("{{\"a\": {}1{}}}", "[".repeat(200), "]".repeat(200))).contains("recursion limit")
    );
    let dashes = format!("{HEAD}x:\n{}1\n", "- ".repeat(500));
    assert!(refused(&dashes).contains("recursion limit"));
    let mut bomb = format!("{HEAD}a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let told = refused(&bomb);
    assert!(told.contains("aliases of aliases") || told.contains("repetition limit"), "{told}");
    assert!(refused(&" ".repeat(17 << 20)).contains("larger than"));
}

/// Documents, the place of what is wrong with them, and what that is.
const WRONG: &[(&str, &str, &str)] = &[
    ("[]", "the document", "this is not an object"),
    ("", "the document", "this is not an object"),
    ("paths: {}", "the document", "it has no `openapi`"),
    ("swagger: '2.0'", "swagger", "this is Swagger"),
    ("openapi: 4.0.0", "openapi", "\"4.0.0\" is neither"),
    ("openapi: 3", "openapi", "this is not text"),
    ("openapi: 3.1.0\npaths: []", "paths", "this is not an object"),
    ("openapi: 3.1.0\npaths: { a: {} }", "paths.a", "a path begins with `/`"),
    ("openapi: 3.1.0\npaths: { /a: null }", "paths./a", "this is not an object"),
    ("openapi: 3.1.0\npaths: { /a: { get: [] } }", "paths./a.get", "this is not an object"),
    ("openapi: 3.1.0\npaths: { /a: {}, /a: {} }", "paths./a", "as YAML: paths: the same key"),
    (
        "{\"openapi\": \"3.1.0\", \"paths\": {\"/a\": {}, \"/a\": {}}}",
        "paths./a",
        "it starts as JSON, but the same key",
    ),
    ("{\"openapi\": \"3.1.0\"", "the document", "it starts as JSON, but EOF"),
    (
        "openapi: 3.1.0\npaths: { /a: { get: { security: {} } } }",
        "paths./a.get.security",
        "this is not a list",
    ),
    (
        "openapi: 3.1.0\npaths: { /a: { get: { security: [[]] } } }",
        "paths./a.get.security[0]",
        "this is not an object",
    ),
    (
        "openapi: 3.1.0\npaths: { /a: { get: { security: [{ k: 1 }] } } }",
        "paths./a.get.security[0].k",
        "this is not a list",
    ),
    (
        "openapi: 3.1.0\npaths: { /a: { get: { security: [{ k: [1] }] } } }",
        "paths./a.get.security[0].k[0]",
        "this is not text",
    ),
    (
        "openapi: 3.1.0\npaths: { /a: { get: { x-keygate-public: yes } } }",
        "paths./a.get.x-keygate-public",
        "this is neither",
    ),
    (
        "openapi: 3.1.0\npaths: { /a: { get: { x-keygate-action: a b } } }",
        "paths./a.get.x-keygate-action",
        "the name of an action",
    ),
    ("openapi: 3.1.0\npaths: { /a: { $ref: other.yaml } }", "paths./a.$ref", "\"other.yaml\" is outside"),
    ("openapi: 3.1.0\npaths: { /a: { $ref: '#/nowhere' } }", "paths./a.$ref", "\"#/nowhere\" is not in this"),
    ("openapi: 3.1.0\npaths: { /a: { $ref: '#/paths/~1a' } }", "paths./a → ", "this `$ref` leads to another"),
    (
        "openapi: 3.1.0\npaths: { /a: { $ref: '#/x', get: {} } }",
        "paths./a.get",
        "what stands beside a `$ref`",
    ),
    ("openapi: 3.1.0\npaths: { /a?b=c: { get: {} } }", "paths./a?b=c.get", "a path has no query"),
    ("openapi: 3.1.0\npaths: { '/a#b': { get: {} } }", "paths./a#b.get", "a path has no query"),
    ("openapi: 3.1.0\npaths: { '/a{?b}': { get: {} } }", "paths./a{?b}.get", "`{?b}` is a URI template"),
    ("openapi: 3.1.0\npaths: { '/{a': { get: {} } }", "paths./{a.get", "its braces do not match"),
    ("openapi: 3.1.0\npaths: { '/a}': { get: {} } }", "paths./a}.get", "its braces do not match"),
    ("openapi: 3.1.0\npaths: { '/{}': { get: {} } }", "paths./{}.get", "a parameter without a name"),
    (
        "openapi: 3.1.0
paths: { /a: &a { get: *a } }",
        "paths./a",
        "recursion limit",
    ),
    ("openapi: 3.1.0\nx: &x { get: {} }\npaths: { /a: { <<: *x } }", "paths./a.<<", "YAML 1.2 has no merge"),
    ("openapi: !x 3.1.0", "openapi", "a value without tags"),
];

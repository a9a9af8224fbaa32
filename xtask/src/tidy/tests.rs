use super::files::Tree;
use super::*;

/// Problems of a made-up tree, by one rule.
fn found(rule: fn(&Tree, &mut Vec<Problem>), files: &[(&str, &str)]) -> Vec<String> {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.add(path, *text);
    }
    let mut problems = Vec::new();
    rule(&tree, &mut problems);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_project_is_tidy() {
    let problems = check(&root()).unwrap();
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn code_is_what_is_left_without_comments_and_literals() {
    let table = [
        ("a // b\nc", "a     \nc"),
        ("a /* { /* } */ */ b", "a                 b"),
        (r#"f("}\"{", x)"#, "f(______, x)"),
        (r##"r#"{"# + br"}" "##, "______ + _____ "),
        ("'{' '\\'' &'a str", "___ ____ &'a str"),
        ("for\"x\"", "for___"),
        ("\"a\nb\"", "__\n__"),
    ];
    for (text, expected) in table {
        assert_eq!(scan::code(text), expected, "{text}");
    }
}

#[test]
fn a_long_file_is_told_without_its_tests() {
    let long = "\n".repeat(501);
    let expected = "crates/a/src/b.rs: 501 lines of product code; 500 is the limit, split it by its nouns";
    assert_eq!(found(source::check, &[("crates/a/src/b.rs", &long)]), [expected]);
    assert!(found(source::check, &[("crates/a/src/b/tests.rs", &long)]).is_empty());
    assert!(found(source::check, &[("crates/a/tests/b.rs", &long)]).is_empty());
    let with_tests = format!("{}#[cfg(test)]\nmod tests {{{long}}}\n", "\n".repeat(490));
    assert!(found(source::check, &[("crates/a/src/b.rs", &with_tests)]).is_empty());
}

#[test]
fn a_long_function_is_told_by_name() {
    let function =
        |lines: usize| format!("\nfn go(a: [u8; 2]) {{\n{}}}\n", "    go(); // }\n\n    // why\n".repeat(lines));
    assert!(found(source::check, &[("src/a.rs", &function(70))]).is_empty());
    assert_eq!(
        found(source::check, &[("src/a.rs", &function(71))]),
        ["src/a.rs:2: fn go has 71 lines; 70 is the limit"]
    );
    assert!(found(source::check, &[("src/a.rs", "trait A { fn go(); }\n")]).is_empty());
}

#[test]
fn leftovers_are_told() {
    let text = format!("let a = 1; // {}: more\n", concat!("FIX", "ME"));
    assert_eq!(
        found(source::check, &[("src/a.rs", &text)]),
        [format!("src/a.rs:1: leftover `{}`", concat!("FIX", "ME"))]
    );
    let text = format!("{}x)\n", concat!("db", "g!("));
    assert_eq!(found(source::check, &[("src/a.rs", &text)]).len(), 1);
    assert!(found(source::check, &[("src/a.rs", "AUTODOC MASTODON\n")]).is_empty());
}

#[test]
fn a_file_that_no_mod_reaches_is_told() {
    let manifest = ("crates/a/Cargo.toml", "[package]\nlicense = \"MIT\"\n[[bin]]\npath = \"run/x.rs\"\n");
    let files = [
        manifest,
        ("crates/a/src/lib.rs", "mod b;\npub(crate) mod c;\n// mod lost;\nmod inline { }\n"),
        ("crates/a/src/b.rs", "mod d;"),
        ("crates/a/src/b/d.rs", ""),
        ("crates/a/src/c/mod.rs", "mod e;"),
        ("crates/a/src/c/e.rs", "mod gone;"),
        ("crates/a/src/lost.rs", ""),
        ("crates/a/src/bin/tool/main.rs", ""),
        ("crates/a/tests/one.rs", "mod common;"),
        ("crates/a/tests/common/mod.rs", ""),
        ("crates/a/tests/other/stray.rs", ""),
        ("crates/a/tests/third/main.rs", "#[path = \"../shared/mod.rs\"]\nmod shared;"),
        ("crates/a/tests/shared/mod.rs", "pub mod part;"),
        ("crates/a/tests/shared/part.rs", ""),
        ("crates/a/run/x.rs", ""),
    ];
    assert_eq!(
        found(modules::check, &files),
        [
            "crates/a/src/c/e.rs:1: `mod gone` has no file",
            "crates/a/src/lost.rs: no `mod` reaches this file",
            "crates/a/tests/other/stray.rs: no `mod` reaches this file",
        ]
    );
}

#[test]
fn an_arrow_upwards_is_told() {
    #[track_caller]
    fn check(name: &str, manifest: &str, expected: &[&str]) {
        let manifest = format!("[package]\n{manifest}");
        assert_eq!(found(arrows::check, &[(&format!("crates/{name}/Cargo.toml"), &manifest)]), expected);
    }
    check("runtime", "[dependencies]\nmillstream-log.workspace = true\nbytes = \"1\"\n", &[]);
    let expected = "crates/log/Cargo.toml:3: log must not depend on kafka";
    check("log", "[dependencies]\nmillstream-kafka = { path = \"../kafka\", optional = true }\n", &[expected]);
    check("runtime", "[dev-dependencies]\nmillstream-testkit.workspace = true\n", &[]);
    let expected = "crates/topology/Cargo.toml:2: topology must not depend on log";
    check("topology", "[target.'cfg(unix)'.dependencies.millstream-log]\nworkspace = true\n", &[expected]);
    check(
        "types",
        "[build-dependencies]\nmillstream = \"1\"\n",
        &["crates/types/Cargo.toml:3: types must not depend on millstream"],
    );
    let expected = "crates/sql/Cargo.toml: a crate without arrows: say in xtask/src/tidy/arrows.rs what it knows";
    check("sql", "", &[expected]);
}

#[test]
fn a_link_to_nowhere_is_told() {
    let text = "[a](b.md) [c](../README.md#x \"title\") [d](https://x.y/z) [e](#here) [f](gone.md)\n\
                `[g](code.md)` [`h`](h.md)\n```\n[i](fenced.md)\n```\n[j](../../out.md) [k](..)\n";
    let files = [("docs/a.md", text), ("docs/b.md", ""), ("README.md", "[docs](docs/)")];
    assert_eq!(
        found(links::check, &files),
        [
            "docs/a.md:1: the link to gone.md leads nowhere",
            "docs/a.md:2: the link to h.md leads nowhere",
            "docs/a.md:6: the link to ../../out.md leads nowhere",
        ]
    );
}

#[test]
fn missing_papers_are_told() {
    let files = [
        ("LICENSE-MIT", ""),
        ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"),
        ("CHANGELOG.md", "## [0.1.0]\n### Improved\n## [Unreleased]\n"),
    ];
    assert_eq!(
        found(paperwork::check, &files),
        [
            "LICENSE-APACHE: the licence's text is missing",
            "crates/a/Cargo.toml: names no licence: `license.workspace = true`",
            "CHANGELOG.md:1: [Unreleased] stands first, and once",
            "CHANGELOG.md:2: a change is one of Added, Changed, Deprecated, Removed, Fixed, Security, not Improved",
            "CHANGELOG.md:3: [Unreleased] stands first, and once",
        ]
    );
}

#[test]
fn an_operator_needs_an_example_and_its_cost() {
    let operator = |doc: &str| {
        format!("/// A stream.\npub struct KStream;\nimpl<K: A<B>> KStream<K> {{\n{doc}    pub fn go() {{}}\n}}\n")
    };
    let check = |doc: &str| found(examples::check, &[("crates/topology/src/dsl/a.rs", &operator(doc))]);
    let no_example = "KStream::go has no example, nor a link to a function that has one";
    let no_cost = "KStream::go does not tell its cost: `State: …. Topics: …. Nulls: ….`";

    assert!(check("    /// Goes. State: none. Topics: none.\n    ///\n    /// ```\n    /// ```\n").is_empty());
    let at = |line: u32, text: &str| format!("crates/topology/src/dsl/a.rs:{line}: {text}");
    assert_eq!(check("    /// Goes.\n"), [at(5, no_example), at(5, no_cost)]);
    assert_eq!(check("    /// ```\n    /// ```\n"), [at(6, no_cost)]);
    assert_eq!(check("    /// [`stay`](Self::stay) with more.\n"), [at(5, no_example)]);
}

#[test]
fn an_example_may_be_the_siblings_or_the_types() {
    let type_shows = "/// ```\n/// Grouped::named(\"x\");\n/// ```\npub struct Grouped;\nimpl Grouped {\n    /// Named.\n    pub fn named() {}\n";
    let twin = "    /// [`named`](Self::named) and more.\n    pub fn named_with() {}\n}\n";
    assert!(found(examples::check, &[("crates/topology/src/dsl/a.rs", &format!("{type_shows}{twin}"))]).is_empty());
}

"""CODEOWNERS as GitHub documents it: the examples of its page, and what a manifest repository says."""

from __future__ import annotations

import pytest

from pointsman.forge.codeowners import CodeOwners


@pytest.mark.parametrize(
    "pattern, matches, others",
    [
        ("*", ["a", "a/b/c.json"], []),
        ("*.js", ["x.js", "src/x.js"], ["x.jsx", "js"]),
        ("/build/logs/", ["build/logs/x", "build/logs/deep/x"], ["a/build/logs/x", "build/logs"]),
        ("docs/*", ["docs/a.md"], ["docs/build/a.md", "a/docs/b.md"]),
        ("apps/", ["apps/x", "a/apps/x/y"], ["apps"]),
        ("/docs/", ["docs/x/y"], ["a/docs/x"]),
        ("/scripts", ["scripts", "scripts/x"], ["a/scripts"]),
        ("**/logs", ["logs/x", "deep/er/logs/x", "logs"], ["blogs/x"]),
        ("registry/**/*.retired.json", ["registry/a/b/c/1.retired.json"], ["registry/a/b/c/1.json"]),
        ("a?c", ["abc", "x/abc/d"], ["ac", "a/c"]),
        ("manifests/", ["manifests/grocer/home/manifest.json"], ["manifest.json"]),
        ("a+b(c", ["a+b(c"], ["aab(c"]),
    ],
)
def test_a_pattern_matches_what_it_should_and_nothing_else(pattern: str, matches: list[str], others: list[str]) -> None:
    owners = CodeOwners(f"{pattern} @team\n")
    assert [path for path in [*matches, *others] if owners.of(path)] == matches


def test_the_last_line_that_matches_decides_and_one_without_owners_needs_nobody() -> None:
    owners = CodeOwners(
        "* @all # everyone\n\n# registry: bots land records\n/registry/ \nregistry/schemas/ @one @two\n"
    )
    assert owners.of("pointsman.toml") == ("@all",)
    assert owners.of("registry/a/b/c/1.json") == ()
    assert owners.of("registry/schemas/x.schema.json") == ("@one", "@two")
    assert owners.of_all(["a", "registry/schemas/x"]) == ["@all", "@one", "@two"]


def test_what_the_syntax_does_not_have_is_no_line() -> None:
    assert CodeOwners("!a @x\n[ab] @y\n\\#a @z\n").of("a") == ()

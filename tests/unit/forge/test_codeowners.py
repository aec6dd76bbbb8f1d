"""CODEOWNERS as GitHub and GitLab document it: examples of their pages, and what a manifest repository says."""

from __future__ import annotations

import pytest

from pointsman.forge.codeowners import CodeOwners, SectionedOwners
from pointsman.forge.generated import template


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


# GitLab


@pytest.mark.parametrize(
    "pattern, matches, others",
    [
        ("*", ["a", "a/b/c.json"], []),
        ("README.md", ["README.md", "a/b/README.md"], ["README.mdx"]),
        ("/docs/", ["docs/x", "docs/x/y"], ["docs", "a/docs/x"]),
        ("/docs/*", ["docs/a.md"], ["docs/b/a.md"]),
        ("docs/api/", ["docs/api/x", "a/docs/api/x"], ["docs/apis/x"]),
        ("/docs", ["docs"], ["docs/x"]),
        ("/docs/**/*.md", ["docs/a.md", "docs/b/c/a.md"], ["docs/a.txt"]),
        (r"/a\ b.md", ["a b.md"], ["a"]),
    ],
)
def test_a_pattern_of_gitlab_matches_what_it_should(pattern: str, matches: list[str], others: list[str]) -> None:
    owners = SectionedOwners(f"{pattern} @team\n")
    assert [path for path in [*matches, *others] if owners.of(path)] == matches


def test_each_section_of_gitlab_asks_for_itself_and_an_optional_one_asks_nobody() -> None:
    owners = SectionedOwners(
        "# all\n* @all\n[Docs][2] @writers\n/docs/\n/docs/own.md @one @two # these two\n!/docs/free/\n"
        "^[Extra]\n* @nobody\n[docs]\n/more/ ann@example.com\n"
    )
    assert owners.of("a") == ["@all"]
    assert owners.of("docs/x") == ["@all", "@writers"]
    assert owners.of("docs/own.md") == ["@all", "@one", "@two"]
    assert owners.of("docs/free/x") == ["@all"]
    assert owners.of("more/x") == ["@all", "ann@example.com"]
    assert SectionedOwners("").of("a") == []


def test_what_init_writes_for_gitlab_gives_manifests_to_reviewers_and_records_to_nobody() -> None:
    owners = SectionedOwners(template("gitlab", "gitlab/CODEOWNERS").decode())
    record = f"registry/t/s/cooc/{'0' * 64}"
    assert owners.of("manifests/t/s/manifest.json") == ["@example/reviewers"]
    assert owners.of("holds/all.json") == ["@example/reviewers"]
    assert owners.of(f"{record}.json") == owners.of(f"{record}.evidence.{'0' * 12}.json") == []
    assert owners.of(f"{record}.retired.json") == ["@example/reviewers"]
    assert owners.of("registry/schemas/x.schema.json") == owners.of("pointsman.toml") == ["@example/maintainers"]
    assert owners.of(f"approvals/{'0' * 64}.{'0' * 16}.json") == []

"""docs/commands.md has a section for each command, in one order, with every option of its help and no other.

And the links between pages lead somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pointsman.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCHEMAS = ROOT / "tool" / "pointsman" / "schemas" / "output"
PARTS = ["What", "When", "Options", "Exit codes", "JSON", "Example"]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, by the words that call it."""

    def below(group: click.Group, words: str, parent: click.Context | None) -> Iterator[tuple[str, click.Command]]:
        with click.Context(group, info_name=words or None, parent=parent) as context:
            for name in group.list_commands(context):
                command = group.get_command(context, name)
                assert command is not None
                named = f"{words} {name}".strip()
                if isinstance(command, click.Group):
                    yield from below(command, named, context)
                else:
                    yield named, command

    assert isinstance(cli, click.Group)
    return below(cli, "", None)


def sections() -> dict[str, str]:
    """The text under each heading, by the heading."""
    pieces = re.split(r"^##+ (.*)$", (DOCS / "commands.md").read_text(), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def parts(section: str) -> list[tuple[str, str]]:
    pieces = re.split(r"^\*\*([A-Z][A-Za-z ]+)\.\*\*", section, flags=re.MULTILINE)
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


def options_of(command: click.Command) -> set[str]:
    """Its options but -h, which stands among those of every command."""
    with click.Context(command, info_name="it") as context:
        every = {name for each in command.get_params(context) if isinstance(each, click.Option) for name in each.opts}
        return every - {"-h"}


COMMANDS = dict(commands())
SECTIONS = sections()
named = pytest.mark.parametrize("name", sorted(COMMANDS))


@named
def test_each_command_has_a_section_with_its_parts_in_order(name: str) -> None:
    assert name in SECTIONS, f"docs/commands.md has no heading {name!r}"
    assert [title for title, _ in parts(SECTIONS[name])] == PARTS


@named
def test_the_options_of_a_section_are_those_of_the_command(name: str) -> None:
    listed = dict(parts(SECTIONS[name]))["Options"]
    items = re.findall(r"^- (`.*?`(?:, `.*?`)*):", listed, flags=re.MULTILINE)
    written = {word for item in items for word in re.findall(r"`(--?[A-Za-z][a-z-]*)", item)}
    assert written == options_of(COMMANDS[name])


@named
def test_a_section_speaks_of_no_option_that_the_command_does_not_have(name: str) -> None:
    prose = "".join(text for part, text in parts(SECTIONS[name]) if part not in ("Example", "When"))
    spoken = set(re.findall(r"(?<![\w-])`(--[a-z][a-z-]*)", prose))
    assert spoken <= options_of(COMMANDS[name]) | {"--json"}


@named
def test_a_section_says_what_exit_codes_mean_and_names_the_schema(name: str) -> None:
    said = dict(parts(SECTIONS[name]))
    codes = [
        int(code)
        for line in re.findall(r"^- (\*\*.*?):", said["Exit codes"], re.M)
        for code in re.findall(r"\d+", line)
    ]
    assert codes == sorted({*codes, 0, 2, 130, 141})
    assert {*codes} <= {*range(6), 130, 141}
    schema = SCHEMAS / f"{name.replace(' ', '-')}.schema.json"
    assert f"`tool/pointsman/schemas/output/{schema.name}`" in said["JSON"].replace("\n", " ")
    assert schema.is_file()


def test_there_is_no_section_of_a_command_that_is_gone() -> None:
    general = {"Options of every command", "JSON documents", "Exit codes", "pr"}
    assert {*SECTIONS} - general == {*COMMANDS}


def test_the_table_of_what_to_do_names_every_command() -> None:
    table = re.search(r"^\| to do this .*?\n\n", (DOCS / "commands.md").read_text(), flags=re.M | re.S)
    assert table is not None
    linked = re.findall(r"\[([a-z ]+)\]\(#", table[0])
    assert sorted(linked) == sorted({"pr" if name.startswith("pr ") else name for name in COMMANDS})


def links(page: Path) -> list[str]:
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not link.startswith("https://")]


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub makes anchors of them."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        there = page.parent / file if file else page
        assert there.is_file(), link
        assert not anchor or anchor in anchors(there), link


@pytest.mark.parametrize("name", ["github", "gitlab", "gitea", "forgejo"])
def test_the_page_that_init_copies_links_to_no_other_page(name: str) -> None:
    assert not links(DOCS / f"{name}.md")

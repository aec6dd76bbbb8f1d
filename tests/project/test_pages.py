"""What the docs say to type is what the command line takes, and what they show to write down can be read."""

from __future__ import annotations

import json

import click
import pytest
import yaml
from pages import PAGES, ROOT, Block, blocks, command_lines, is_shown, require_command_line

from pointsman.settings import read_settings

SHELL = ("sh", "console")


def named(block: Block) -> str:
    return f"{block.page.relative_to(ROOT)}:{block.line}"


def of_all(*languages: str) -> pytest.MarkDecorator:
    found = [block for page in PAGES for block in blocks(page, *languages)]
    return pytest.mark.parametrize("block", found, ids=named)


@of_all(*SHELL)
def test_each_command_of_a_page_is_one_that_the_command_line_takes(block: Block) -> None:
    for words in command_lines(block):
        require_command_line([word.replace("$RUN_URL", "https://ci.example/runs/7") for word in words])


@of_all("toml")
def test_settings_of_a_page_can_be_read(block: Block) -> None:
    store = "" if "[store]" in block.text else '[store]\nurl = "file:///srv/recsys"\n'
    read_settings((store + block.text).encode())


def test_words_that_are_no_command_line_are_found() -> None:
    require_command_line(["gc", "--delete"])
    for words in (["gc", "--remove"], ["collect"], ["sync", "--watch", "often"], ["pr", "shut", "grocer/home"]):
        with pytest.raises(click.ClickException):
            require_command_line(words)


@pytest.mark.parametrize(
    "page, said, same",
    [
        ("grocer/home: written, 1 s after the commit", "grocer/home: written, 0.3 s after\n  the commit\n", True),
        ("merged as 8301812d09f6", "merged as 1edd25424017", True),
        ("cooc 619d7c53ba4a", "cooc c7dfe5a09de8", False),  # versions of the samples are the same for ever
        ("until 2026-11-27T21:24:00Z", "until 2031-01-01T00:00:00Z", True),
        ("one\n…\nthree", "one\ntwo\nthree\n", True),
        ("one\n…", "two\n", False),
        ("5 blobs", "6 blobs", False),
        ("all of it", "all of it, and more", False),
    ],
)
def test_what_a_page_shows_is_what_comes(page: str, said: str, same: bool) -> None:
    assert is_shown(page, said) is same


@of_all("json")
def test_json_of_a_page_can_be_read(block: Block) -> None:
    json.loads(block.text)


@of_all("yaml")
def test_yaml_of_a_page_can_be_read(block: Block) -> None:
    assert yaml.safe_load(block.text)

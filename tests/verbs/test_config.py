"""`config`: every setting in force, for a target, and the line, variable or default that it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, Shop

from pointsman.cli.config import render
from pointsman.errors import Problem
from pointsman.outcome import Outcome
from pointsman.settings import KEYS
from pointsman.state.names import Target
from pointsman.verbs.config import Config, config
from pointsman.workspace import Workspace

TEXT = """[forge]
kind = "github"
[policy]
items_drop = 0.4   # why
type_missing = [
  "popularity",
]
[policy.types.model_card]
size_jump = { shrink = 2 }
[policy."grocer/home"]
items_drop = 0.2
[policy."grocer/home".cooc]
kept_low = false
[[serving]]
name = "eu"
manifest = "s3://eu/{tenant}/{surface}/m.json"
[[serving]]
name = "us"
manifest = "s3://us/{tenant}/{surface}/m.json"
"""
FIRST = 3  # lines that the shop writes above


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("config"), TEXT, "s3://artifacts/prod")


def ask(shop: Shop, target: Target | None = GROCER) -> Outcome[Config]:
    with shop.open() as repo:
        return config(Workspace(repo), target)


def found(shop: Shop, target: Target | None = GROCER) -> dict[tuple[str, str | None], Any]:
    return {(each.key, each.type): each for each in ask(shop, target).value.settings}


def test_each_setting_says_the_line_that_decides(shop: Shop) -> None:
    rows = found(shop)
    lines = (shop.desk / "pointsman.toml").read_text().split("\n")

    def said(key: str, slot: str | None = None) -> tuple[str | None, str | None, str | None]:
        each = rows[key, slot]
        return each.value, each.table, lines[each.line - 1] if each.line is not None else None

    assert said("policy.items_drop") == ("0.2", '[policy."grocer/home"]', "items_drop = 0.2")
    assert said("policy.kept_low", "cooc") == ("false", '[policy."grocer/home".cooc]', "kept_low = false")
    assert said("policy.size_jump", "model_card")[1:] == ("[policy.types.model_card]", "size_jump = { shrink = 2 }")
    assert said("policy.type_missing") == ('["popularity"]', "[policy]", "type_missing = [")
    assert said("serving.us.name") == ('"us"', "[[serving]]", 'name = "us"')
    assert said("retention.keep_days") == ("90", None, None)
    assert said("forge.records") == ('"pull-request"', None, None)  # it follows from the kind
    assert ("policy.kept_low", "popularity") not in rows  # a type without a limit of its own has no line


def test_no_known_key_is_left_out(shop: Shop) -> None:
    names = {key for key, _ in found(shop)}
    assert {*KEYS} - names == {key for key in KEYS if key.startswith("serving.")}  # its tables have names here


def test_without_a_target_the_limits_of_all_are_told(shop: Shop) -> None:
    told = [(each.value, each.table) for each in ask(shop, None).value.settings if each.key == "policy.items_drop"]
    assert told == [("0.4", "[policy]"), ("0.2", '[policy."grocer/home"]')]


def test_variables_count_and_secrets_are_never_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "POINTSMAN_INVALIDATE_HEADERS", "POINTSMAN_APP_KEY")
    for name in secrets:
        monkeypatch.setenv(name, "h1dden")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("POINTSMAN_STORE_TIMEOUT", "20")
    outcome = ask(shop)
    region = next(each for each in outcome.value.settings if each.key == "store.region")
    assert (region.value, region.from_, region.table) == ('"eu-west-1"', "environment", "AWS_REGION")
    variables = {each.name: each for each in outcome.value.environment}
    assert (variables["POINTSMAN_STORE_TIMEOUT"].value, variables["POINTSMAN_STORE_TIMEOUT"].default) == ("20", "8")
    assert all(variables[name].set and variables[name].secret for name in secrets)
    assert "h1dden" not in str(outcome.document) + render(outcome.value)


def test_a_checkout_that_differs_and_a_target_that_is_not_known_are_told(shop: Shop, tmp_path: Path) -> None:
    assert ask(shop).notes == ()
    with (shop.desk / "pointsman.toml").open("a") as file:
        file.write("# mine\n")
    assert "what counts is that of main" in ask(shop).notes[0]
    with pytest.raises(Problem, match="grocer/hom was never shipped"):
        ask(shop, Target("grocer", "hom"))

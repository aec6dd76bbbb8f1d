"""Every option that takes a time takes it in the same words, and refuses the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click
import pytest
from shop import Kept

from pointsman.cli.arguments import DEADLINE, PERIOD
from pointsman.cli.main import cli, main
from pointsman.history.times import read_past

# A moment in the past, one to come, a length of time, and one that may also be a bare number of seconds.
PAST, FUTURE, LENGTH, SECONDS = "past", "future", "length", "seconds"
OPTIONS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("at", "when"): (PAST, "at -- {} grocer/home"),
    ("audit", "since"): (PAST, "audit --since {}"),
    ("audit", "until"): (PAST, "audit --until {}"),
    ("gc", "grace"): (LENGTH, "gc --grace {}"),
    ("hold", "until"): (FUTURE, "hold grocer/home --reason x --dry-run --until {}"),
    ("log", "since"): (PAST, "log --since {}"),
    ("log", "until"): (PAST, "log --until {}"),
    ("retire", "older_than"): (LENGTH, "retire grocer/home --dry-run --older-than {}"),
    ("rollback", "to"): (PAST, "rollback grocer/home --dry-run --to {}"),
    ("rollback", "until"): (FUTURE, "rollback grocer/home --hold --reason x --dry-run --until {}"),
    ("rollout", "watch"): (SECONDS, ""),
    ("status", "wait"): (SECONDS, ""),
    ("sync", "verify_every"): (SECONDS, ""),
    ("sync", "watch"): (SECONDS, ""),
}
LIKE_A_TIME = {"when", "since", "until", "grace", "older_than", "wait", "verify_every", "timeout", "after", "every"}
NEVER = ("yesterday", "-2h", "2x", "2 h", "30min", "2h30m", "1e3", "2026-13-01", "2026-02-30T00:00:00Z", "24:00", "٢h")
GOOD = {
    PAST: ("2h", "now", "3d", "2999-01-01", "2999-01-01T00:00:00Z", "2999-01-01 00:00+02:00"),
    FUTURE: ("2h", "3d", "90m", "2w", "2999-01-01", "2999-01-01T00:00:00Z"),
    LENGTH: ("2h", "3d", "90m", "30s", "2w"),
}


def options(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Parameter]]:
    context = click.Context(command)
    if not isinstance(command, click.Group):
        yield from ((name, param) for param in command.params)
        return
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        assert found is not None
        yield from options(found, f"{name} {each}".strip())


def test_every_option_that_looks_like_a_time_is_in_the_table() -> None:
    found = set()
    for name, param in options(cli):
        metavar, called = str(param.metavar or ""), str(param.name)
        flag = isinstance(param, click.Option) and param.is_flag
        if not flag and ("TIME" in metavar or "SECONDS" in metavar or called in LIKE_A_TIME):
            found.add((name, called))
            if "SECONDS" in metavar:
                assert param.type in (DEADLINE, PERIOD), (name, called)
    assert found == {*OPTIONS}


def test_a_number_of_seconds_may_have_its_unit() -> None:
    for kind in (DEADLINE, PERIOD):
        for text, seconds in (("30", 30), ("0.5", 0.5), ("30s", 30), ("5m", 300), ("2h", 7200)):
            assert kind.convert(text, None, None) == seconds
        for text in ("", "-1", "nan", "inf", "now", "2026-03-01", *NEVER[:6], "900w"):
            with pytest.raises(click.BadParameter, match="such as 30, 30s or 5m"):
                kind.convert(text, None, None)
    assert DEADLINE.convert("0", None, None) == DEADLINE.convert("0s", None, None) == 0
    with pytest.raises(click.BadParameter):
        PERIOD.convert("0s", None, None)


@pytest.mark.slow
@pytest.mark.parametrize("option", [each for each, (kind, _) in OPTIONS.items() if kind != SECONDS], ids=str)
def test_each_takes_and_refuses_the_same_texts(
    option: tuple[str, str], two_ships: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, words = OPTIONS[option]
    desk = str(two_ships.fresh().desk)

    def run(text: str) -> tuple[int, str]:
        code = main(["-C", desk, *(each.format(text) for each in words.split(" "))])
        return code, capsys.readouterr().err

    for text in GOOD[kind]:
        code, said = run(text)
        assert code in (0, 1, 2), (text, said)
        assert "is no" not in said, (text, said)
        assert "is not a" not in said, (text, said)
    dates = ("2026-03-01", "now") if kind == LENGTH else ()
    for text in (*NEVER, *dates):
        code, said = run(text)
        assert code == 2, (text, said)
        assert said.count("\n") == 1, "one sentence"
        assert "30m, 2h" in said or "is not a date or time" in said, (text, said)


def test_now_is_the_moment_itself() -> None:
    assert read_past("now", 5) == 5
    assert read_past("2s", 5) == 3

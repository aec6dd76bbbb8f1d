"""Templates are compiled once: what was kept counts only if it is whole and of the same text and the same making."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jinja2
import jinja2.bccache
import pytest

from pointsman.report import compiled, html


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where compiled modules are kept, and an environment that has compiled nothing yet."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "kept"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    forget()
    yield tmp_path / "kept"
    forget()


def forget() -> None:
    html.template.cache_clear()
    html._environment.cache_clear()


def compiles(monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a process that asks for a template now has to compile one."""
    forget()
    compiling = []
    compile_one = jinja2.Environment.compile

    def noted(self: jinja2.Environment, *words: object, **more: object) -> object:
        compiling.append(words)
        return compile_one(self, *words, **more)  # type: ignore[call-overload]

    with monkeypatch.context() as patched:
        patched.setattr(jinja2.Environment, "compile", noted)
        assert html.template("review.html").name == "review.html"
    return bool(compiling)


def files(kept: Path) -> list[Path]:
    return sorted(path for path in kept.rglob("*") if path.is_file())


def test_a_template_is_compiled_by_the_first_process_only(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiles(monkeypatch)
    assert [path.name.partition(".cpython")[0] for path in files(kept)] == ["review.html"]
    assert not compiles(monkeypatch)


HARM: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda sound: b"",
    "no template": lambda sound: b"\0" * 5000,
    "cut in its head": lambda sound: sound[: len(jinja2.bccache.bc_magic) + 4],
    "cut in its code": lambda sound: sound[:-200],
    "another head": lambda sound: jinja2.bccache.bc_magic + b"\xff" * 5000,
}


@pytest.mark.parametrize("harm", HARM)
def test_what_is_not_whole_is_compiled_again(kept: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    compiles(monkeypatch)
    (file,) = files(kept)
    sound = file.read_bytes()
    file.write_bytes(HARM[harm](sound))
    assert compiles(monkeypatch)
    assert file.read_bytes() == sound
    assert not compiles(monkeypatch)


@pytest.mark.parametrize("changed", ["jinja", "our own code"])
def test_what_was_made_in_another_way_is_compiled_again(
    kept: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: str
) -> None:
    assert compiles(monkeypatch)
    if changed == "jinja":
        monkeypatch.setattr(jinja2, "__version__", "99")
    else:
        (tmp_path / "html.py").write_text("other settings")
        monkeypatch.setattr(compiled, "_MADE_BY", (str(tmp_path / "html.py"),))
    assert compiles(monkeypatch)
    assert not compiles(monkeypatch)


@pytest.mark.parametrize("how", ["no place", "told not to"])
def test_where_nothing_can_be_kept_each_process_compiles(kept: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "no place":
        kept.write_text("a file")
    else:
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert compiles(monkeypatch)
    assert compiles(monkeypatch)
    assert files(kept) == []

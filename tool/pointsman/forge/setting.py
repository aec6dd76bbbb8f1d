"""What the API of a forge can set: looked at, told as differences, sent, and looked at again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from typing import Any

from pointsman.errors import Fault, Problem, one_line
from pointsman.forge.base import Setting
from pointsman.forge.http import Denied, HttpClient
from pointsman.repo.repository import Repository
from pointsman.repo.snapshot import Snapshot
from pointsman.state import strict_json

# The labels that pull requests get besides their target's, and what each says.
_LABELS = {
    "ship": "changes what is served",
    "rollback": "puts an earlier manifest back",
    "hold": "stops ships, or lets them go on",
}
_LABEL_COLOR = "70c24a"
_ABSENT: Any = object()
_SHOWN = 80  # characters of a value


def each_part(
    parts: Mapping[str, Callable[[], Iterable[tuple[str, str]]]],
) -> Iterator[tuple[str, str]]:
    """The checks of every part. What the forge refuses to tell is that part's trouble alone."""
    for name, part in parts.items():
        try:
            yield from part()
        except Denied as error:
            if error.status == 401:  # it would say the same to every call
                raise
            yield name, str(error)


def differs(what: str, found: object, wanted: object) -> str:
    """A difference, in words. What is not there is told so."""
    return f"{what} is {_said(found)}, should be {_said(wanted)}"


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Each member of `wanted` that `found` has with another value, or not at all."""
    return [
        differs(name, found.get(name, _ABSENT), value)
        for name, value in wanted.items()
        if found.get(name, _ABSENT) != value
    ]


def absent_or(get: Callable[[], Any], *also: int) -> Any | None:
    """What is there; None if the forge says that nothing is, with status 404 or one of `also`."""
    try:
        return get()
    except Denied as error:
        if error.status not in (404, *also):
            raise
        return None


def labels(client: HttpClient, path: str, needs: str, *, sign: str = "") -> Setting:
    """The labels that pull requests get. `path`: where they are. `sign`: before the six digits of a colour."""

    def missing() -> list[str]:
        there = {str(each["name"]).lower() for each in client.pages(path)}
        return [name for name in _LABELS if name not in there]

    def send() -> None:
        for name in missing():
            client.write("POST", path, {"name": name, "color": f"{sign}{_LABEL_COLOR}", "description": _LABELS[name]})

    return Setting("labels", needs, lambda: [f"the label {name} is not there" for name in missing()], send)


def file_of_main(repo: Repository, path: str, template: str, words: tuple[str, str] | None = None) -> dict[str, Any]:
    """A JSON file of main, which people may have changed; the one that `init` writes if main has none.

    `words`: what `init` writes in the place of another word. Problem if it is no JSON object.
    """
    data = Snapshot(repo, repo.main).read(path)
    if data is None:
        text = resources.files("pointsman").joinpath("templates", *template.split("/")).read_text("utf-8")
        data = (text.replace(*words) if words else text).encode()
    found = strict_json.read(data, path)
    if isinstance(found, Fault):
        raise Problem(f"main's {found}; or delete it to have the one that init writes")
    if not isinstance(found, dict):
        raise Problem(f"main's {path} is no JSON object: mend it, or delete it to have the one that init writes")
    return found


def _said(value: object) -> str:
    if value is _ABSENT or value is None:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value)
    return one_line(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…") or '""'

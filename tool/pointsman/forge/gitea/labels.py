"""The labels of a repository. They have ids, and must exist before a pull request can have them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from pointsman.forge.gitea.client import Client
from pointsman.forge.http import Denied
from pointsman.forge.writes import look_then_act

_COLOR = "#70c24a"


class Labels:
    """The labels by their names, in lower case; read once in a run."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._path = f"/repos/{client.place.slug}/labels"
        self._ids: dict[str, int] = {}

    def ids(self, names: Iterable[str]) -> list[int]:
        """The id of each label; what is missing is made."""
        if not self._ids:
            self._read()
        return [self._ids.get(name.lower()) or self._made(name) for name in names]

    def _read(self) -> None:
        """Two may have made one label at the same moment. Everybody takes the older one."""
        self._ids.clear()
        for each in self._client.pages(self._path):
            name, number = str(each["name"]).lower(), int(each["id"])
            self._ids[name] = min(number, self._ids.get(name, number))

    def _made(self, name: str) -> int:
        ours: list[int] = []

        def look() -> int | None:
            self._read()
            return self._ids.get(name.lower())

        def act() -> Any:
            answer = self._client.made(self._path, {"name": name, "color": _COLOR})
            ours.append(int(answer["id"]))
            return look()

        found = int(look_then_act(self._client, look, act))
        if ours and found not in ours:
            with contextlib.suppress(Denied):  # it may stay: nobody uses it
                self._client.write("DELETE", f"{self._path}/{ours[0]}")
        return found

"""How a forge is written to: look first, then act; after a lost answer, look again.

So a write that may have happened is never sent twice, and a second run finds everything done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from pointsman.errors import MovedFirst
from pointsman.forge.base import BODY_LIMIT, Opened, Page
from pointsman.forge.http import Denied, HttpClient, Lost

_WRITE_TRIES = 4
_Any = TypeVar("_Any")


def look_then_act(client: HttpClient, look: Callable[[], _Any | None], act: Callable[[], _Any | None]) -> _Any:
    """The result of `look`, or else of `act`. After a lost answer it looks again before it acts again."""
    for again in range(_WRITE_TRIES):
        found = look()
        if found is not None:
            return found
        try:
            result = act()
        except Lost:
            if again == _WRITE_TRIES - 1:
                raise
            client.pause(again)
            continue
        if result is not None:
            return result
    raise MovedFirst(f"{client.forge}'s answers contradict each other: run the command again")


class Comments(Struct, frozen=True):
    """The comments of one pull request. `edits`: the method that changes one, and the path before its id."""

    path: str
    edits: tuple[str, str]
    read: Callable[[], Iterable[Mapping[str, Any]]]

    def keep(self, client: HttpClient, opened: Opened, purpose: str, text: str) -> None:
        """Keep one comment for a purpose. A comment that begins as ours, but is somebody's, stays as it is."""
        mark = comment_mark(purpose)
        wanted = {"body": f"{mark} {opened.head} -->\n{text}"[:BODY_LIMIT].rstrip()}  # as GitLab keeps it
        ours: list[int] = []

        def look() -> Any:
            marked = [each for each in self.read() if str(each.get("body", "")).startswith(f"{mark} ")]
            found = [each for each in marked if client.me in ("", author_of(each))]
            ours[:] = [int(each["id"]) for each in found]
            return next((each for each in found if each["body"] == wanted["body"]), None)

        def act() -> Any:
            method, path = self.edits
            for each in ours:
                try:
                    return client.write(method, f"{path}/{each}", wanted) or True
                except Denied as error:
                    if client.me or error.status not in (403, 404):
                        raise
            return client.write("POST", self.path, wanted) or True

        look_then_act(client, look, act)


def author_of(said: Mapping[str, Any]) -> str:
    """The name of whoever said something on a forge."""
    who = said.get("user") or said.get("author") or {}
    return str(who.get("login") or who.get("username") or "")


def comment_mark(purpose: str) -> str:
    """How the one comment for a purpose begins, with a blank after it."""
    return f"<!-- pointsman: {purpose}"


def title_within(page: Page, limit: int) -> str:
    """The title of a page, of at most `limit` characters."""
    return page.title if len(page.title) <= limit else page.title[: limit - 1] + "…"

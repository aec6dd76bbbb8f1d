"""Auto-merge: what the forge has in mind for a pull request, and how it is told.

The API tells that a merge is scheduled, as an event of the timeline, but not with which message. So the message stands
in a comment, which is written first. A person who schedules a merge on the page gets the title and the body offered as
the message.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from pointsman.errors import Unreachable
from pointsman.forge.base import Opened
from pointsman.forge.gitea.client import Client
from pointsman.forge.gitea.merging import message_of, not_merged, waits
from pointsman.forge.http import Denied
from pointsman.forge.writes import author_of, comment_mark, look_then_act

_PURPOSE = "merges-with"
_ON, _OFF = "pull_scheduled_merge", ("pull_cancel_scheduled_merge", "merge_pull")


class AutoMerge:
    """The scheduled merges of one repository. `comment`: keeps the one comment for a purpose."""

    def __init__(self, client: Client, comment: Callable[[Opened, str, str], None]) -> None:
        self._client = client
        self._comment = comment
        self._root = f"/repos/{client.place.slug}"

    def message(self, pull: Mapping[str, Any]) -> str | None:
        """The message with which the forge merges a pull request by itself; None if it does not."""
        event = self._scheduled(pull["number"])
        if event is None:
            return None
        mark = f"{comment_mark(_PURPOSE)} "
        for said in self._client.some(f"{self._root}/issues/{pull['number']}/comments"):
            if str(said.get("body", "")).startswith(mark) and author_of(said) == author_of(event):
                return _read(said["body"])
        return f"{pull['title']} (#{pull['number']})\n\n{pull.get('body') or ''}"

    def _scheduled(self, number: object) -> Any:
        """The event by which the merge was scheduled; None if it is not. Gitea before 1.17 has neither."""
        try:
            events = list(self._client.pages(f"{self._root}/issues/{number}/timeline"))
        except Denied as error:
            if error.status != 404:
                raise
            return None
        ours = [each for each in events if each["type"] in (_ON, *_OFF)]
        last = max(ours, key=lambda each: int(each["id"]), default=None)
        return last if last is not None and last["type"] == _ON else None

    def is_safe(self) -> bool:
        """Whether main requires a check. If not, the forge would merge at once, whatever the checks say."""
        main = self._client.get(f"{self._root}/branches/main")
        return bool(main.get("enable_status_check") and main.get("status_check_contexts"))

    def start(self, opened: Opened, wanted: Mapping[str, Any]) -> None:
        """Have it merged so when its requirements are met. What was scheduled with another message is taken back."""
        path, message = f"{self._root}/pulls/{opened.number}", message_of(wanted)

        def act() -> bool | None:
            if self.message(self._client.get(path)) not in (None, message):
                self.stop(opened)
            self._comment(opened, _PURPOSE, _shown(self._client.forge, message))
            try:
                self._client.write("POST", f"{path}/merge", {**wanted, "merge_when_checks_succeed": True})
            except Denied as error:
                if error.status == 409 and "already scheduled" in error.reason:
                    return self.message(self._client.get(path)) == message or None
                if waits(error):
                    says = f"this {self._client.forge} cannot merge #{opened.number} by itself, and it is not ready yet"
                    raise Unreachable(
                        f"{says}: someone has to merge it ({opened.url}), or install a newer one"
                    ) from error
                raise not_merged(self._client.brand, opened, error) from error
            return True

        look_then_act(self._client, lambda: None, act)

    def stop(self, opened: Opened) -> bool:
        """Take a scheduled merge back. Whether there was one."""
        was: list[Any] = []

        def look() -> bool | None:
            was.append(self._scheduled(opened.number))
            return None if was[-1] is not None else True

        def act() -> bool:
            try:
                self._client.write("DELETE", f"{self._root}/pulls/{opened.number}/merge")
            except Denied as error:
                if error.status == 403 and (who := author_of(was[-1])):
                    says = f"{who} has {self._client.forge} merge #{opened.number} by itself, and this token may not"
                    raise Unreachable(
                        f"{says} stop that: {who} or an administrator of the repository can ({opened.url})"
                    ) from error
                if error.status != 404:  # merged, or taken back by someone else
                    raise
            return True

        look_then_act(self._client, look, act)
        return was[0] is not None


def _shown(forge: str, message: str) -> str:
    """The comment: the message as a block of code, which needs no sign to end it."""
    return f"{forge} merges this by itself once it may, with this message:\n\n{textwrap.indent(message, '    ')}\n"


def _read(comment: str) -> str:
    """The message in a comment."""
    _, _, block = comment.partition("\n\n")
    return textwrap.dedent("\n".join(line.removeprefix("    ") for line in block.split("\n"))).strip("\n")

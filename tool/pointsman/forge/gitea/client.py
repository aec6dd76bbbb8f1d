"""Calls to Gitea and Forgejo. Both have one API, described by each server at /api/swagger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx

from pointsman.errors import Unreachable, one_line
from pointsman.forge.gitea.brand import Brand
from pointsman.forge.gitea.place import Place
from pointsman.forge.http import MOST_PAGES, Denied, HttpClient, Pacer

_PER_PAGE = 50  # MAX_RESPONSE_ITEMS, of which a server may have less


class Client(HttpClient):
    """The calls of one run to Gitea or Forgejo, for one repository."""

    def __init__(self, brand: Brand, place: Place, token: Callable[[], str], pacer: Pacer | None = None) -> None:
        super().__init__(place.server, place.api, lambda: {"Authorization": f"token {token()}"}, pacer)
        self.brand = brand
        self.place = place
        self.forge = brand.name

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Every item of a list, page after page. Unreachable for a list that does not end.

        A server may have shorter pages than we ask for, so the end is where it says, or an empty page. A timeline says
        how many there are on its page alone, and null for an empty page.
        """
        seen, counts_all = 0, not path.endswith("/timeline")
        for page in range(1, MOST_PAGES + 1):
            items, headers = self.read(path, **query, limit=_PER_PAGE, page=page)
            if isinstance(items, list | None):
                items = [each for each in items or () if each is not None]
            items = self.listed(items, path)
            yield from items
            seen += len(items)
            total = headers.get("x-total-count", "") if counts_all else ""
            if not items or (total.isascii() and total.isdigit() and seen >= int(total)):
                return
        raise Unreachable(f"{self.server} has more than {seen} entries in {path}: close some")

    def refusal(self, answer: httpx.Response, content: Any, what: str) -> Denied:
        reason, status, slug = _reason(content), answer.status_code, self.place.slug
        if status == 401:
            names = " or ".join(self.brand.tokens)
            return Denied(f"{self.forge} does not accept the token ({names}): make a new one", status, reason)
        if status == 403:
            needs = "it needs the scopes write:repository and write:issue, and its user the right to write"
            return Denied(f"the token does not allow {what} ({needs}): {one_line(reason)}", status, reason)
        if status == 404:
            says = f"{self.forge} has no {what.partition(' ')[2]} that this token may see ({slug})"
            return Denied(says, status, reason)
        if answer.is_redirect:
            says = f"{slug} has moved on {self.forge}: give origin its new URL (git remote set-url)"
            return Denied(says, status, reason)
        return Denied(f"{self.forge} refused {what} ({status}): {one_line(reason)}", status, reason)


def _reason(content: Any) -> str:
    """What an error says. A conflict is told as git told it."""
    if not isinstance(content, dict):
        return ""
    errors = content.get("errors")
    told = [content.get("message", ""), *(errors if isinstance(errors, list) else ())]
    told += [content.get(name, "") for name in ("StdErr", "StdOut")]
    return "; ".join(dict.fromkeys(str(each) for each in told if each))

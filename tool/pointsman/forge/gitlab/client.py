"""Calls to GitLab's REST API, and what its refusals mean (docs.gitlab.com: "REST API", "Rate limits")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from pointsman.errors import one_line
from pointsman.forge.gitlab.place import TOKEN, Place
from pointsman.forge.http import Denied, HttpClient, Pacer

_MOVED = "moved projects"  # in GitLab's words to a write: "Non GET methods are not allowed for moved projects"


class Client(HttpClient):
    """The calls of one run to GitLab, for one project."""

    forge = "GitLab"
    limit_headers = ("ratelimit-remaining", "ratelimit-reset")

    def __init__(self, place: Place, token: Callable[[], str], pacer: Pacer | None = None) -> None:
        super().__init__(place.server, place.api, lambda: {"Authorization": f"Bearer {token()}"}, pacer)
        self.place = place

    def refusal(self, answer: httpx.Response, content: Any, what: str) -> Denied:
        reason = _reason(content)
        status, path = answer.status_code, self.place.path
        if answer.is_redirect or _MOVED in reason:
            return Denied(f"{path} has moved on GitLab: give origin its new URL (git remote set-url)", status, reason)
        if status == 401:
            return Denied(f"GitLab does not accept the token ({TOKEN}): make a new one", status, reason)
        if status == 403:
            needs = content.get("scope") if isinstance(content, dict) else None
            hint = f" (it needs the scope {one_line(str(needs))})" if needs else ""
            return Denied(f"the token does not allow {what}{hint}: {one_line(reason)}", status, reason)
        if status == 404:
            return Denied(f"GitLab has no {what.partition(' ')[2]} that this token may see ({path})", status, reason)
        return Denied(f"GitLab refused {what}: {one_line(reason)}", status, reason)


def _reason(content: Any) -> str:
    """GitLab's words: `message` is a text, a list of texts, or texts by the field that they are about."""
    if not isinstance(content, dict):
        return ""
    said = content.get("message") or content.get("error_description") or content.get("error") or ""
    if isinstance(said, dict):
        said = [f"{field} {text}" for field, texts in said.items() for text in _listed(texts)]
    return "; ".join(_listed(said))


def _listed(said: Any) -> list[str]:
    return [str(each) for each in said] if isinstance(said, list) else [str(said)]

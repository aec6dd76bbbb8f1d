"""Calls to GitHub: REST, the mutations of GraphQL, and what its refusals and rate limits mean.

Limits (docs.github.com, "Best practices for using the REST API" and "Rate limits for the REST API"): a second between
writes if there are many, Retry-After, x-ratelimit-reset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from pointsman.errors import one_line
from pointsman.forge.github.place import TOKENS, Place
from pointsman.forge.http import Denied, HttpClient, Limited, Lost, Pacer

_LIMITED_KINDS = {"RATE_LIMIT", "RATE_LIMITED"}  # GraphQL's types of an error
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class Client(HttpClient):
    """The calls of one run to GitHub, for one repository."""

    forge = "GitHub"

    def __init__(self, place: Place, token: Callable[[], str], pacer: Pacer | None = None) -> None:
        super().__init__(
            place.server, place.api, lambda: {"Authorization": f"Bearer {token()}"}, pacer, headers=_HEADERS
        )
        self.place = place

    def graphql(self, query: str, variables: Mapping[str, Any]) -> Any:
        """The data of a mutation; Denied with status 200 and GitHub's words if there are errors."""
        body = {"query": query, "variables": variables}
        return self.within_limits(lambda: self._mutation(body))[0]

    def _mutation(self, body: Mapping[str, Any]) -> tuple[Any, httpx.Headers]:
        """The data of one call. A rate limit, too, comes with status 200 ("Rate limits … for the GraphQL API")."""
        answer, headers = self.call("POST", self.place.graphql, body=body)
        if not isinstance(answer, dict):
            raise Lost(f"{self.place.server} answered POST {httpx.URL(self.place.graphql).path} with something odd")
        if not (errors := answer.get("errors")):
            return answer.get("data"), headers
        reason = _reason({"errors": errors})
        kinds = {str(error.get("type", "")) for error in errors if isinstance(error, dict)}
        if kinds & _LIMITED_KINDS or "rate limit" in reason.lower():
            raise Limited(self.seconds(headers))
        raise Denied(f"GitHub says: {one_line(reason)}", 200, reason)

    def refusal(self, answer: httpx.Response, content: Any, what: str) -> Denied:
        reason = _reason(content)
        status, slug = answer.status_code, self.place.slug
        if status == 401:
            return Denied(f"GitHub does not accept the token ({' or '.join(TOKENS)}): make a new one", status, reason)
        if status == 403:
            needs = answer.headers.get("x-accepted-github-permissions", "")
            hint = f" (it needs {one_line(needs)})" if needs else ""
            return Denied(f"the token does not allow {what}{hint}: {one_line(reason)}", status, reason)
        if status == 404:
            return Denied(f"GitHub has no {what.partition(' ')[2]} that this token may see ({slug})", status, reason)
        if answer.is_redirect:
            return Denied(f"{slug} has moved on GitHub: give origin its new URL (git remote set-url)", status, reason)
        return Denied(f"GitHub refused {what}: {one_line(reason)}", status, reason)

    def limit(self, answer: httpx.Response, content: Any) -> float | None:
        if answer.status_code not in (403, 429):
            return None
        told = "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0"
        if told or answer.status_code == 429 or "rate limit" in _reason(content).lower():
            return self.seconds(answer.headers)
        return None


def _reason(content: Any) -> str:
    if not isinstance(content, dict):
        return ""
    texts = [str(content.get("message", ""))]
    errors = content.get("errors")
    texts += [
        str(error.get("message") or error.get("code", "")) if isinstance(error, dict) else str(error)
        for error in (errors if isinstance(errors, list) else ())
    ]
    return "; ".join(text for text in texts if text)

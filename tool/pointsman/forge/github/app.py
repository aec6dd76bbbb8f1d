"""A GitHub App's installation: what makes the tokens that open one repository."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from pointsman.errors import Problem, Unreachable
from pointsman.forge.github.client import REQUEST_TRIES, Client, Denied, Lost
from pointsman.forge.github.place import Place


class Installation:
    """The token of a GitHub App's installation on one repository, made anew before it has run out (an hour)."""

    def __init__(self, place: Place, app: str, key: str, clock: Callable[[], float] = time.time) -> None:
        self._place = place
        self._app = app
        self._key = key
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def __call__(self) -> str:
        if self._clock() > self._until - 300:
            self._make()
        return self._token

    def _make(self) -> None:
        client = Client(self._place, self._signed)
        try:
            installation = client.get(f"/repos/{self._place.slug}/installation")["id"]
            # A token more does no harm: a lost answer is asked for again.
            body = {"repositories": [self._place.name]}
            path = f"/app/installations/{installation}/access_tokens"
            for again in range(REQUEST_TRIES):
                try:
                    made = client.write("POST", path, body)
                    break
                except Lost:
                    if again == REQUEST_TRIES - 1:
                        raise
                    client.pause(again)
        except Denied as error:
            raise Unreachable(
                f"GitHub gives the App of POINTSMAN_APP_ID no token for {self._place.slug} ({error.status}): "
                "install it on the repository, and look that POINTSMAN_APP_KEY is its private key"
            ) from error
        finally:
            client.close()
        self._token = made["token"]
        self._until = datetime.fromisoformat(made["expires_at"]).timestamp()

    def _signed(self) -> str:
        import jwt

        now = int(self._clock())
        try:
            return jwt.encode({"iat": now - 60, "exp": now + 540, "iss": self._app}, self._key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise Problem("POINTSMAN_APP_KEY is no private key: give the whole text of the App's .pem file") from None

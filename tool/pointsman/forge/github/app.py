"""The installation of a GitHub App, which makes tokens for one repository."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from pointsman.errors import Problem, Unreachable
from pointsman.forge.github.client import Client
from pointsman.forge.github.place import Place
from pointsman.forge.http import REQUEST_TRIES, Denied, Lost


class Installation:
    """The token of an App's installation on one repository. It lasts an hour and is renewed 5 minutes earlier."""

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
            # One more token does no harm, so after a lost answer we ask again.
            body = {"repositories": [self._place.name]}
            path = f"/app/installations/{installation}/access_tokens"
            for again in range(REQUEST_TRIES):
                try:
                    answer = client.made(path, body)
                    break
                except Lost:
                    if again == REQUEST_TRIES - 1:
                        raise
                    client.pause(again)
        except Denied as error:
            raise Unreachable(
                f"GitHub gives the App in POINTSMAN_APP_ID no token for {self._place.slug} ({error.status}): "
                "install the App on the repository, and check that POINTSMAN_APP_KEY is its private key"
            ) from error
        finally:
            client.close()
        self._token = answer["token"]
        self._until = datetime.fromisoformat(answer["expires_at"]).timestamp()

    def _signed(self) -> str:
        import jwt

        now = int(self._clock())
        try:
            return jwt.encode({"iat": now - 60, "exp": now + 540, "iss": self._app}, self._key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise Problem(
                "POINTSMAN_APP_KEY is not a private key: set it to the whole text of the App's .pem file"
            ) from None

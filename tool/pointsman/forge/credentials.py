"""Tokens of the environment, and how git gets one.

Git gets it through its environment, so it is in no configuration, no remote and no process's arguments.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping, Sequence

from pointsman.errors import Problem


def token_in(variables: Sequence[str]) -> str:
    """The first token that is set; "" if none is. Problem for one that no header can hold."""
    for variable in variables:
        token = os.environ.get(variable, "")
        if token and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Problem(f"{variable} has a space or a line break in it: take it out")
        if token:
            return token
    return ""


def git_environment(server: str, user: str, token: Callable[[], str]) -> Callable[[], Mapping[str, str]]:
    """A function that returns git's environment with the token for all of `server`, as the password of `user`."""
    key = f"http.{server}/.extraHeader"

    def environment() -> Mapping[str, str]:
        basic = base64.b64encode(f"{user}:{token()}".encode()).decode()
        # The empty value removes a header that a checkout may have set: GitHub answers 400 to two of them.
        # The configuration that a user has in the environment stays before it.
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        return {
            "GIT_CONFIG_COUNT": str(first + 2),
            f"GIT_CONFIG_KEY_{first}": key,
            f"GIT_CONFIG_VALUE_{first}": "",
            f"GIT_CONFIG_KEY_{first + 1}": key,
            f"GIT_CONFIG_VALUE_{first + 1}": f"Authorization: Basic {basic}",
        }

    return environment

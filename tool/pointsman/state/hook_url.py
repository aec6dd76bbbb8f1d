"""The URLs that sync calls, as settings have them."""

from __future__ import annotations

import re

from pointsman.errors import Problem


def check_invalidate(url: object, where: str) -> None:
    """Problem if a value of `[serving] invalidate` is no URL with {tenant} in it. `where`: the file that has it."""
    key = "[serving] invalidate"
    checked = check_hook(url, key, where)
    names = re.findall(r"\{([^{}]*)\}", checked)
    if names.count("tenant") != 1 or names.count("surface") > 1 or {*names} - {"tenant", "surface"}:
        raise Problem(f"{where}: {key} must have {{tenant}} once in each URL, and may have {{surface}} once")
    if "{" in checked[: checked.index("/", checked.index("://") + 3)]:
        raise Problem(f"{where}: {key}: the host cannot contain {{tenant}} or {{surface}}: {checked!r}")


def check_hook(url: object, key: str, where: str) -> str:
    """`url` if it is one of http or https without credentials; Problem if not."""
    if not isinstance(url, str) or not re.fullmatch(r"https?://[^/@\s]+/?[^\s@]*", url) or "/" not in url[8:]:
        raise Problem(f"{where}: {key} must be a URL such as https://host/path without credentials, not {url!r}")
    return url

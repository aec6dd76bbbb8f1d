"""Whether a store is a directory in which nothing ever stood: that is how one looks which is not mounted."""

from __future__ import annotations

import os
from collections.abc import Callable

from pointsman.state.names import is_name
from pointsman.state.store_url import split_url


def is_vacant(url: str) -> bool:
    """Whether a store is a directory that is missing or has no tenant's directory in it. A bucket never is."""
    return not _any(url, lambda entry: is_name(entry.name) and entry.name != "registry" and _is_directory(entry))


def is_bare(url: str) -> bool:
    """Whether a store is a directory that is missing or empty, but for what a file system makes itself."""
    return not _any(url, lambda entry: entry.name != "lost+found")


def _any(url: str, wanted: Callable[[os.DirEntry[str]], bool]) -> bool:
    """Whether a directory has a wanted entry. True of a bucket."""
    scheme, path = split_url(url)
    if scheme != "file":
        return True
    try:
        with os.scandir(path) as entries:
            return any(map(wanted, entries))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # whoever reads it says what is wrong


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return True  # whoever reads it says what is wrong

"""URLs of stores: which there are, and how each is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pointsman.errors import Problem

BUCKETS = ("s3", "gs", "az")
SCHEMES = ("file", *BUCKETS)
_FORMS = "file:///absolute/path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"


def split_url(url: str) -> tuple[str, str]:
    """Scheme and rest of a store URL; Problem for one that cannot be used. Credentials in it are not repeated."""
    scheme, found, rest = url.partition("://")
    if scheme != "file" and re.search("[@?#]", rest):
        raise Problem("the URL has credentials, a query or a fragment in it: credentials come from the environment")
    if not found or scheme not in SCHEMES or (scheme == "file" and not rest.startswith("/")):
        raise Problem(f"not a store this version can use: {url!r} (write {_FORMS})")
    if scheme != "file" and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._=-]+)*/?", rest):
        letters = "letters, digits, '.', '_', '-' and, after the bucket, '='"
        raise Problem(f"not a store this version can use: {url!r} (names in a bucket's URL have {letters})")
    return scheme, rest


@dataclass(frozen=True, slots=True)
class Access:
    """How to get to the buckets of `s3://` URLs, empty where the platform's defaults hold. Never credentials."""

    endpoint: str = ""
    region: str = ""
    allow_http: bool = False


def can_be_asked(url: str) -> bool:
    """Whether a URL is of a kind that this version can read; a former store may be of another."""
    return url.partition("://")[0] in SCHEMES

"""A listing of a bucket, with a most of keys and of time: a store may go on for ever, and send pages without a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from pointsman.errors import Unreachable

if TYPE_CHECKING:
    from obstore import ObjectMeta

MOST_LISTED = 1_000_000
SECONDS_A_PAGE = 20.0  # for a thousand keys, besides the store's timeout; they usually take less than one


def read_listing(pages: AsyncIterator[Sequence[ObjectMeta]], seconds: float, where: str) -> list[ObjectMeta]:
    """All of a listing. TimeoutError if a page takes more than `seconds` longer than it may; Unreachable if too many.

    `where`: what is listed, for a sentence.
    """
    return asyncio.run(_read(pages, seconds + SECONDS_A_PAGE, where))


async def _read(pages: AsyncIterator[Sequence[ObjectMeta]], seconds: float, where: str) -> list[ObjectMeta]:
    found: list[ObjectMeta] = []
    while True:
        try:
            found += await asyncio.wait_for(_next(pages), seconds)
        except StopAsyncIteration:
            return found
        except TimeoutError:
            raise TimeoutError("timed out") from None
        if len(found) > MOST_LISTED:
            raise Unreachable(
                f"cannot list {where}: it has more than {MOST_LISTED} objects, only pointers belong there"
            )


async def _next(pages: AsyncIterator[Sequence[ObjectMeta]]) -> Sequence[ObjectMeta]:
    return await anext(pages)

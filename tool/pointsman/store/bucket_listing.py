"""A listing of a bucket, with a most of keys and of time: a store may go on for ever, and send pages without a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
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


def pages_of(pages: AsyncIterator[Sequence[ObjectMeta]], seconds: float) -> Iterator[Sequence[ObjectMeta]]:
    """A listing page by page, however long it is. TimeoutError if a page takes `seconds` longer than it may."""
    with asyncio.Runner() as runner:
        while (page := runner.run(_page(pages, seconds + SECONDS_A_PAGE))) is not None:
            yield page


async def _page(pages: AsyncIterator[Sequence[ObjectMeta]], seconds: float) -> Sequence[ObjectMeta] | None:
    try:
        return await asyncio.wait_for(_next(pages), seconds)
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise TimeoutError("timed out") from None

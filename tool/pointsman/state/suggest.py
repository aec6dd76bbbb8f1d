"""What a user probably meant: one wording for all that cannot be found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_NEAR = 0.5  # of difflib's ratio, from which two names are alike


def did_you_mean(text: str, known: Iterable[object], *, most: int = 1, always: bool = True) -> str:
    """ ": did you mean a, b or c?" with the nearest in spelling, `most` of them at most.

    Where nothing is near: "", or with `always` the least far.
    """
    from difflib import get_close_matches  # costs 3 ms, and most commands find what they are asked for

    every = list(map(str, known))
    near = get_close_matches(text, every, n=most, cutoff=_NEAR)
    return ask(near or (get_close_matches(text, every, n=most, cutoff=0) or every[:most] if always else ()))


def ask(names: Sequence[str]) -> str:
    """ ": did you mean a, b or c?", "" without any."""
    if not names:
        return ""
    *others, last = names
    return f": did you mean {', '.join(others)}{' or ' if others else ''}{last}?"

"""What a user probably meant: the same words wherever a name is not found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SIMILAR = 0.5  # from this difflib ratio on, two names are similar


def did_you_mean(text: str, known: Iterable[object], *, most: int = 1, always: bool = True) -> str:
    """ ": did you mean a, b or c?" with at most `most` names, those of the most similar spelling first.

    If none is similar: the closest ones with `always`, otherwise "".
    """
    from difflib import get_close_matches  # imported late: it costs 3 ms, and most commands need no suggestion

    every = list(map(str, known))
    similar = get_close_matches(text, every, n=most, cutoff=_SIMILAR)
    return ask(similar or (get_close_matches(text, every, n=most, cutoff=0) or every[:most] if always else ()))


def ask(names: Sequence[str]) -> str:
    """ ": did you mean a, b or c?"; "" if `names` is empty."""
    if not names:
        return ""
    *others, last = names
    return f": did you mean {', '.join(others)}{' or ' if others else ''}{last}?"

"""What a user probably meant: the same words wherever a name is not found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SIMILAR = 0.5  # from this difflib ratio on, two names are similar
_SHORTEST = 3  # letters of a name that may be mistyped


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


def is_slip(text: str, known: str) -> bool:
    """Whether `text` may be `known` mistyped: in other case, or with one letter more, less or other, or two swapped.

    Another digit is no slip, and neither is anything in names of one or two letters.
    """
    one, other = text.casefold(), known.casefold()
    if text == known or min(len(one), len(other)) < _SHORTEST or abs(len(one) - len(other)) > 1:
        return False
    same = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if same is None:
        return True
    a, b = one[same:], other[same:]
    if a[1:] == b[1:]:
        return not (a[0].isdigit() and b[0].isdigit())
    return a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])

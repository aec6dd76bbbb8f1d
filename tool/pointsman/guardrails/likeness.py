"""What `kept-low` and `overlap-low` share: two versions must be at least this much alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pointsman.guardrails.comparison import Finding, Likeness, Step, not_measured
from pointsman.guardrails.limits import Limit, number


def under_floor(limit: Limit, step: Step, measure: Callable[[Likeness], float | None], words: str) -> Iterator[Finding]:
    """One finding for each changed slot. `words` has one {}, for the share."""
    for slot, old, new in step.pairs():
        like = step.likeness.get((old.version, new.version))
        figure = measure(like) if like is not None else None
        if figure is None:
            why = like.why if like is not None and like.why else "the contents were not read"
            yield not_measured(slot, why)
            continue
        broken = figure < number(limit)
        share, floor = shares(figure, number(limit))
        yield Finding(slot, figure, broken, f"{slot} {words.format(share)}, the floor is {floor}" if broken else "")


def shares(figure: float, limit: float) -> tuple[str, str]:
    """A share and its limit in per cent, with as few digits as show that they differ, at most three."""
    pairs = ((f"{figure:.{digits}%}", f"{limit:.{digits}%}") for digits in (0, 1, 2))
    return next((pair for pair in pairs if pair[0] != pair[1]), (f"{figure:.3%}", f"{limit:.3%}"))

"""`doctor --fix`: what the API of a forge can set is told first, then set, then looked at again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace

from pointsman.errors import Problem
from pointsman.forge.base import Forge, Setting, Silent
from pointsman.forge.http import Denied, Lost
from pointsman.progress import Progress

_TRIES = 4  # of a write whose answer was lost


class Fix(Struct, frozen=True):
    """One part of how the forge is set up."""

    name: str
    differences: Annotated[Sequence[str], "what is, and what should be; none if there is nothing to do"]
    done: Annotated[bool, "whether it was changed, and is now as it should be"] = False
    says: Annotated[str, "why it could not be looked at or changed; empty if nothing was in the way"] = ""


def fix(forge: Forge, progress: Progress, agreed: Callable[[Sequence[Fix]], bool]) -> tuple[Sequence[Fix], bool]:
    """Each part of how the forge is set up, and whether the forge gave no answer to a call.

    `agreed`: whether what it is given may be changed. What the forge refuses stops nothing else. Problem if the forge
    cannot be used at all.
    """
    progress("asking the forge what is to be set")
    settings = list(forge.settable())
    found: list[Fix] = []
    silent = ""
    for setting in settings:
        try:
            found.append(Fix(setting.name, (), says=_not_tried(silent)) if silent else _looked(setting))
        except Silent as error:
            silent = str(error)
            found.append(Fix(setting.name, (), says=silent))
    todo = [each for each in found if each.differences]
    if not todo or not agreed(todo):
        return found, bool(silent)
    for place, setting in enumerate(settings):
        if not found[place].differences:
            continue
        progress(f"setting {setting.name}")
        if silent:
            found[place] = replace(found[place], says=_not_tried(silent))
            continue
        try:
            found[place] = _sent(setting, found[place])
        except Silent as error:
            silent = str(error)
            found[place] = replace(found[place], says=silent)
    return found, bool(silent)


def _not_tried(silent: str) -> str:
    return f"not tried: {silent}"


def _looked(setting: Setting) -> Fix:
    try:
        return Fix(setting.name, tuple(setting.look()))
    except Silent:
        raise
    except Problem as problem:
        return Fix(setting.name, (), says=f"{problem}; it takes {setting.needs}")


def _sent(setting: Setting, was: Fix) -> Fix:
    """Set one part, and look again: a forge may say yes and keep what it had."""
    try:
        for again in range(_TRIES):
            try:
                setting.send()
            except Lost:
                if again == _TRIES - 1:
                    raise
                if not setting.look():
                    break
                continue
            break
        left = setting.look()
    except Denied as error:
        return replace(was, says=f"{error}; it takes {setting.needs}")
    except Silent:
        raise
    except Problem as problem:
        return replace(was, says=str(problem))
    if left:
        return replace(was, says=f"the forge said yes, and still: {'; '.join(left)}. Set it in the browser")
    return replace(was, done=True)

"""What people see of a pull request on a forge: its title, its body and its labels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pointsman.errors import one_line
from pointsman.forge import Page
from pointsman.message import parse
from pointsman.names import Target

_MANY = 5  # targets: more would make a wall of labels


def page_of(message: str, targets: Sequence[Target]) -> Page:
    """The page of a ship or a rollback, of its commit's message."""
    title, _, rest = message.partition("\n")
    labels = [title.partition(":")[0]]  # ship, rollback
    labels += map(str, targets[:_MANY])
    labels += sorted({rule for said in parse(message).said for rule in said.accepts})
    return Page(one_line(title), fenced(rest.strip("\n")), tuple(labels))


def fenced(text: str) -> str:
    """Text that Markdown leaves as it is, whatever it says."""
    lines = "\n".join(one_line(line) for line in text.split("\n"))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", lines)), default=0))
    return f"{fence}text\n{lines}\n{fence}\n"

"""A review as Markdown: the body of a pull request, or a job's summary.

Made of blocks that are whole in themselves, so that one cut short has every fence and fold closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pointsman.report.approvals import signed_lines
from pointsman.report.markdown import code, plain
from pointsman.report.review.rows import (
    HEADINGS,
    NOT_MEASURED,
    Row,
    accepted,
    facts,
    guardrails,
    held,
    lost,
    movement,
    ringed,
    rows,
    share,
    slots,
    trend,
    undone,
)
from pointsman.report.review.value import Review, ReviewedTarget, ReviewedType
from pointsman.report.review.verdict import speaks_against
from pointsman.report.words import percent, shown, sparkline
from pointsman.state.names import short

LIMIT = 60_000  # characters; GitHub takes 65,536 for the body of a pull request
_FOLDED = 10  # targets whose artifacts are shown one by one; of more, the unusual ones
_ROWS = 60  # of the table of targets
_BY_TARGET = 250  # rows of a fold


def render(review: Review, limit: int = LIMIT) -> str:
    """The whole review, or as much of it as `limit` characters hold, and where the rest is."""
    blocks = list(_blocks(review))
    again = f"pointsman review {_subject(review)}"
    ending = f"\n_Cut at {limit} characters; the rest: {code(again)}_\n"
    text = ""
    for place, block in enumerate(blocks):
        more = ending if place < len(blocks) - 1 else ""
        if len(text) + len(block) + len(more) + 1 > limit:
            return text + ending
        text += block + "\n"
    return text


def _subject(review: Review) -> str:
    pull = review.pull_request
    return str(pull.id) if pull else f"--base {short(review.base)} --head {short(review.head or 'HEAD')}"


def _blocks(review: Review) -> Iterator[str]:
    targets = review.targets
    headline = f"**{plain(shown(review.verdict, 1000))}**\n"
    accepts = [
        f"> **Accepts {plain(some)}** for {plain(target.target)}: {code(reason)}\n"
        for target in targets
        for some, reason in accepted(target)
    ]
    # What a change accepts stands first; the headline before it only where it tells of evidence against the change.
    yield from [headline, *accepts] if speaks_against(review) else [*accepts, headline]
    for line in signed_lines(review.approvals, review.evidence):
        yield f"- {plain(line)}"
    for line in ringed(review):
        yield f"- {plain(line)}"
    yield from _table(targets)
    for hold in review.holds:
        yield f"- {code(held(hold))}"
    for fault in review.faults:
        yield f"- :x: **{plain(fault.rule)}** {code(shown(fault.path, 200))}: {code(shown(fault.says, 600))}"
    for target in targets:
        for fault in target.faults:
            if not fault.accepted:
                yield f"- :x: **{plain(fault.rule)}** {plain(target.target)}: {code(shown(fault.says, 600))}"
        for note in target.notes:
            yield f"- {plain(target.target)}: {code(shown(note, 600))}"
        if target.undoes:
            yield f"- {plain(target.target)} {plain(undone(target.undoes))}; lost: {plain(lost(target.undoes))}"
            yield f"  {code(shown(target.undoes.title, 200))}"
    yield ""
    for target in [each for each in targets if len(targets) <= _FOLDED or each.faults][:_FOLDED]:
        yield from _folds(target)
    yield from _ending(review)


def _table(targets: Sequence[ReviewedTarget]) -> Iterator[str]:
    """A line for each slot; of very many only the unusual ones have their own, the others go by target in a fold."""
    every = [row for target in targets for row in rows(target)]
    unusual = [row for row in every if row.unusual]
    if len(every) <= _ROWS:
        alone, rest = unusual + [row for row in every if not row.unusual], []
    else:
        alone, rest = unusual[:_ROWS], unusual[_ROWS:] + [row for row in every if not row.unusual]
    if alone:
        yield _rows(alone)
    if rest:
        yield _by_target(rest)


def _by_target(rest: Sequence[Row]) -> str:
    found: dict[str, list[Row]] = {}
    for row in rest:
        found.setdefault(row.target, []).append(row)
    lines = [f"<details><summary>{len(rest)} more slots of {len(found)} targets, as usual</summary>", ""]
    lines += ["| target | types | first count | least kept | least the same at the top |", "|---|---|---|---|---|"]
    for target, some in list(found.items())[:_BY_TARGET]:
        kept, top = (min(filter(None, column), key=_share, default="") for column in
                     ([row.kept for row in some], [row.top for row in some]))  # fmt: skip
        lines.append(f"| {plain(target)} | {len(some)} | {plain(some[0].count)} | {kept} | {top} |")
    over = len(found) - _BY_TARGET
    return "\n".join([*lines, *([f"| and {over} more | | | | |"] if over > 0 else []), "", "</details>", ""])


def _share(text: str) -> float:
    """What was not measured is the least."""
    return -1 if text == NOT_MEASURED else float(text.rstrip("%"))


def _rows(some: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for row in some:
        mark = ":warning: " if row.unusual else ""
        cells = (
            f"{mark}{plain(row.target)}", plain(row.type), code(row.was), code(row.becomes), plain(row.count), row.kept,
            row.top, plain(row.size),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _folds(target: ReviewedTarget) -> Iterator[str]:
    for slot in slots(target):
        about, found = target.types[slot], target.metrics[slot]
        kept = f", keeps {percent(of)}" if (of := share(found, "kept")) is not None else ""
        lines = [f"<details><summary>{plain(target.target)} {plain(slot)}{plain(kept)}</summary>", ""]
        lines += ["| | |", "|---|---|"]
        lines += [f"| {plain(label)} | {code(value)} |" for label, value in facts(target, slot)]
        if (past := trend(target, slot)) is not None:
            lines.append(f"| {past.label} | {sparkline(past.counts)} {past.says} |")
        lines += ["", *_lists(about), "", "</details>", ""]
        yield "\n".join(lines)
    checked = list(guardrails(target))
    if checked:
        lines = [f"<details><summary>{plain(target.target)}: guardrails, {len(checked)}</summary>", ""]
        lines += ["| guardrail | type | figure | limit | |", "|---|---|---|---|---|"]
        lines += [
            f"| {plain(rule)} | {plain(slot)} | {plain(figure)} | {plain(limit)} | {'' if ok else ':x:'} |"
            for rule, slot, figure, limit, ok in checked
        ]
        yield "\n".join([*lines, "", "</details>", ""])


def _lists(about: ReviewedType) -> Iterator[str]:
    if about.top is not None:
        yield "| # | before | # | now | count | |\n|---|---|---|---|---|---|"
        for place, (old, new) in enumerate(about.tops(), 1):
            left = f"{place} | {code(shown(old.id))}" if old else " | "
            right = (
                f"{place} | {code(shown(new.id))} | {new.count:,} | {movement(new.rank, new.was_rank)}"
                if new
                else " | | | "
            )
            yield f"| {left} | {right} |"
        yield ""
    for name, ids, over in about.lists():
        more = f" and {over} more" if over else ""
        yield f"{name}: {', '.join(code(shown(each)) for each in ids)}{more}\n"


def _ending(review: Review) -> Iterator[str]:
    targets = review.targets
    lines = [f"Base {code(short(review.base))}."]
    if review.owners:
        # As code: who is to approve is asked by the forge itself, a report mentions nobody.
        lines.append(f"Must be approved by one of {', '.join(map(code, review.owners))}.")
    if len(targets) == 1:
        lines.append(f"Undo: {code(targets[0].undo)}")
    elif targets:
        lines.append(f"Undo, for each target: {code(targets[0].undo)}")
    yield " ".join(lines)

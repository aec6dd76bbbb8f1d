"""The page of a pull request on a forge: its title, the review as its body, its labels."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from pointsman.errors import one_line
from pointsman.forge.base import BODY_LIMIT, Page
from pointsman.report.markdown import fenced
from pointsman.state.message import parse
from pointsman.state.names import Target
from pointsman.state.objects import Oid
from pointsman.values import PullRequest
from pointsman.workspace import Workspace

_MOST_TARGET_LABELS = 5


def page_of(workspace: Workspace, branch: str, head: Oid, text: str, targets: Sequence[Target]) -> Page:
    """The page of a ship or a rollback. `text`: its commit message. The review is made when the body is asked for."""
    title, _, rest = text.partition("\n")
    labels = [kind if (kind := branch.partition("/")[0]) in ("ship", "hold", "retire") else "rollback"]
    labels += map(str, targets[:_MOST_TARGET_LABELS])
    labels += sorted({rule for said in parse(text).said for rule in said.accepts})
    return Page(one_line(title), lambda: _body(workspace, branch, head, rest.strip("\n")), tuple(labels))


def _body(workspace: Workspace, branch: str, head: Oid, lines: str) -> str:
    from pointsman.report.review import markdown  # imported here because a local forge needs no body
    from pointsman.report.review.document import describe
    from pointsman.report.review.in_rings import in_rings

    gate, main = workspace.gate, workspace.repo.main
    review = describe(gate, main, head, gate.judge_change(main, head))
    rings = in_rings(workspace, [each.target for each in review.targets])
    text = markdown.render(replace(review, pull_request=PullRequest(branch, None, branch), rings=rings))
    said = f"\n<details><summary>What the commit says</summary>\n\n{fenced(lines)}\n</details>\n"
    return text + said if len(text) + len(said) <= BODY_LIMIT else text

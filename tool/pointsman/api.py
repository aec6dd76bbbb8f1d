"""Pointsman for Python: what a pipeline, a notebook or a service of your own may import.

The names in `__all__` are stable: one that goes, or means something else, is a new major version. Whatever else the
package has may change at any time. Nothing here prints, exits, or touches the worktree of a checkout.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from pointsman.artifact.reader import Artifact, Reference
from pointsman.artifact.reader import read as read_artifact
from pointsman.errors import Fault, MovedFirst, Problem, Refused, Unreachable, trouble_of
from pointsman.forge.open import credentials
from pointsman.history.events import LoggedEvent
from pointsman.outcome import Outcome
from pointsman.repo import open as opening
from pointsman.report.target_state import Status, TargetState
from pointsman.serving.outcomes import Synced, SyncedTarget
from pointsman.state.message import check_run
from pointsman.state.names import Target, slot_of, target_or_pattern
from pointsman.values import PullRequest, ShippedTarget, Step, ToldFault
from pointsman.verbs import at as at_verb
from pointsman.verbs import log as log_verb
from pointsman.verbs import publish as publish_verb
from pointsman.verbs import rollback as rollback_verb
from pointsman.verbs import status as status_verb
from pointsman.verbs import sync as sync_verb
from pointsman.verbs.at import InForce
from pointsman.verbs.publish import Published, PublishedArtifact
from pointsman.verbs.rollback import Restored, RolledBack
from pointsman.workspace import Workspace

__all__ = [
    "Artifact",
    "Fault",
    "InForce",
    "LoggedEvent",
    "MovedFirst",
    "Outcome",
    "Problem",
    "Published",
    "PublishedArtifact",
    "PullRequest",
    "Reference",
    "Refused",
    "Repository",
    "Restored",
    "RolledBack",
    "ShippedTarget",
    "Status",
    "Step",
    "Synced",
    "SyncedTarget",
    "TargetState",
    "ToldFault",
    "Unreachable",
    "open_repository",
    "read_artifact",
    "require_done",
]

_Value = TypeVar("_Value")
_AGAIN = {kind.exit_code: kind for kind in (Unreachable, MovedFirst)}


@contextlib.contextmanager
def open_repository(spec: str | os.PathLike[str] = ".") -> Iterator[Repository]:
    """Open a manifest repository, as `pointsman -C` does. It is for a `with` statement.

    Of a URL, a partial clone is made in a temporary directory, which goes when the context ends. Tokens of a forge
    and credentials of a store come from the environment, as for the commands.

    Args:
        spec: a checkout, a bare repository, or a URL that git can fetch and push.

    Raises:
        Problem: there is no repository.
        Unreachable: git or the disk failed.
    """
    with contextlib.ExitStack() as stack:
        with _told():
            repo = stack.enter_context(opening.open_repository(os.fspath(spec), credentials))
        yield Repository(Workspace(repo))


class Repository:
    """A manifest repository that `open_repository` opened. It is for one thread at a time.

    Each method looks at the origin anew. Targets are texts such as `grocer/home`; several take patterns such as
    `grocer/*`, too. Times are texts: `now`, `2h` (ago), `2026-03-02`, or RFC 3339.

    Every method raises `Problem` for what its caller must fix, such as a target or a time that is none. It raises
    `Unreachable` if the origin, the store or the disk gave no answer or said no, and `MovedFirst` if someone else
    moved first: then calling again is right.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def publish(
        self,
        paths: Sequence[str | os.PathLike[str]] = (),
        *,
        run: str = "",
        windows: Sequence[str] = (),
        drops: Sequence[str] = (),
        merge: bool = False,
        reship: bool = False,
        accept: Sequence[str] = (),
        reason: str = "",
        record_only: bool = False,
        all_or_nothing: bool = False,
        dry_run: bool = False,
    ) -> Outcome[Published]:
        """Store artifacts, record them on main, and open (or merge) a ship pull request for each target.

        Publishing the same again changes nothing, from any machine, before or after the merge.

        Args:
            paths: artifact files and staging directories.
            run: the URL of the pipeline run; records and commits name it.
            windows: of staging directories: `START_END` or `all`; default: the newest of each target.
            drops: what to take out, as `tenant/surface:type`.
            merge: merge what the rules let pass; without it, people do.
            reship: ship a version again that was rolled back.
            accept: guardrails that may be broken, as `RULE` or `TARGET:RULE`; needs `reason`.
            reason: why, for whoever reviews it.
            record_only: store and record, ship nothing.
            all_or_nothing: if one target has to wait, write nothing.
            dry_run: say what would be done, write nothing.

        Returns:
            What became of each artifact and each target. Its exit code is that of the command: 0 if all is done,
                else see `require_done`.

        Raises:
            Refused: rules are broken, and no target can go on; nothing was written.
        """
        with _told():
            request = publish_verb.Request(
                paths=_texts(paths),
                windows=_texts(windows),
                drops=tuple(map(slot_of, _texts(drops))),
                run=run and check_run(run),
                merge=merge,
                reship=reship,
                accept=_texts(accept),
                reason=reason,
                record_only=record_only,
                all_or_nothing=all_or_nothing,
                dry_run=dry_run,
            )
            return self._noted(publish_verb.publish(self._anew, request))

    def sync(self, *, dry_run: bool = False, heal: bool = True, prune: bool = False) -> Outcome[Synced]:
        """Make serving equal to main.

        Args:
            dry_run: say what would be done, write nothing.
            heal: put back pointers that someone edited by hand; without it they are reported and kept.
            prune: delete pointers whose manifest is gone from main.

        Returns:
            What became of each pointer; times are in seconds. Exit code 5 if a target was refused and keeps its last
                good manifest, 3 if one of several places could not be reached.
        """
        orders = sync_verb.Orders(dry_run=dry_run, heal=heal, prune=prune)
        with _told():
            return self._noted(sync_verb.sync(self._anew, orders))

    def roll_back(
        self,
        targets: Sequence[str] = (),
        *,
        reason: str = "",
        to: str | None = None,
        type: str | None = None,  # noqa: A002 - as the option of the command is called
        run: str | None = None,
        now: bool = False,
        hold: bool = False,
        until: str | None = None,
        accept: Sequence[str] = (),
        dry_run: bool = False,
    ) -> Outcome[RolledBack]:
        """Put back an earlier manifest of each target, byte for byte: all of them or none.

        Args:
            targets: targets and patterns; none with `run`: all that the run shipped.
            reason: why; `now` and `hold` need it.
            to: a commit, a version or a time; default: the state before the last ship.
            type: put back this artifact type alone.
            run: undo what the pipeline run of this URL shipped.
            now: change main at once; without it a pull request is opened.
            hold: also let no ship pass until `until`, by default for a day.
            until: a time, with `hold`.
            accept: guardrails that may be broken, as `RULE` or `TARGET:RULE`.
            dry_run: say what would be done, write nothing.

        Returns:
            What became of each target. Exit code 5 if one that nobody named has nothing earlier.

        Raises:
            Refused: the earlier state breaks a rule, such as a blob that is gone; nothing was written.
        """
        with _told():
            request = rollback_verb.Request(
                targets=tuple(map(target_or_pattern, _texts(targets))),
                to=to,
                slot=type,
                run=run,
                now=now,
                hold=hold,
                until=until,
                reason=reason,
                accept=_texts(accept),
                dry_run=dry_run,
            )
            return self._noted(rollback_verb.roll_back(self._anew, request))

    def status(self, targets: Sequence[str] = ()) -> Status:
        """What is current, since when, by whom, and whether serving has it.

        Args:
            targets: targets and patterns; default: all.
        """
        with _told():
            return status_verb.status(self._anew, tuple(map(target_or_pattern, _texts(targets)))).value

    def at(self, when: str, target: str, *, ring: str = "") -> InForce:
        """What was current at a time, and by whose commit.

        Args:
            when: a time.
            target: one target.
            ring: what this ring had then.

        Raises:
            Problem: there was nothing then.
        """
        with _told():
            return at_verb.at(self._anew, when, Target.parse(target), ring).value

    def log(
        self,
        targets: Sequence[str] = (),
        *,
        since: str | None = None,
        until: str | None = None,
        run: str | None = None,
        most: int | None = None,
    ) -> Sequence[LoggedEvent]:
        """Every ship, restore, removal, edit and hold, newest first: one event per commit and target.

        Args:
            targets: targets and patterns; default: all.
            since: not before this time.
            until: not after this time.
            run: only what the pipeline run of this URL did.
            most: the newest so many.
        """
        with _told():
            chosen = tuple(map(target_or_pattern, _texts(targets)))
            query = log_verb.Query(targets=chosen, since=since, until=until, run=run, most=most)
            return log_verb.log(self._anew, query).value.events

    @property
    def _anew(self) -> Workspace:
        """With nothing remembered of the store from an earlier call."""
        return self._workspace.again()

    def _noted(self, outcome: Outcome[_Value]) -> Outcome[_Value]:
        """With what the repository has to note of itself."""
        notes = self._workspace.repo.notes
        outcome = replace(outcome, notes=(*outcome.notes, *notes))
        notes.clear()
        return outcome


def require_done(outcome: Outcome[Published]) -> Published:
    """The value of a publish of which everything is done; else what a scheduler must know is raised.

    Raises:
        Unreachable: a target waits because something gave no answer: publish again later.
        MovedFirst: someone else moved first: publish again.
        Refused: rules stop a target; `faults` says which. Publishing the same again is refused again.
    """
    published = outcome.value
    if outcome.exit_code == 0:
        return published
    for each in published.targets:
        if (kind := _AGAIN.get(publish_verb.exit_code([each]))) is not None:
            raise kind(f"{each.target}: {each.says}")
    told = [*(published.faults or ()), *(fault for each in published.targets for fault in each.faults or ())]
    raise Refused([Fault(each.path, each.rule, each.says) for each in told])


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the operating system refuses is a problem like any other, and so is a text that it cannot be given."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise Problem(f"{error.object!r} is not UTF-8") from error
    except OSError as error:
        raise trouble_of(error) from error


def _texts(given: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    if isinstance(given, str):  # which is a sequence of texts, too, and never meant
        raise Problem(f"a list is wanted, such as [{given!r}], and not a text alone")
    return tuple(os.fspath(each) for each in given)

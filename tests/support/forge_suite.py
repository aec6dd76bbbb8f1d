"""What every forge must do: each sentence of `pointsman.forge.base`, as a test.

A test file makes a class of it and gives the fixture `ground`. Every method is called again, as after a lost answer. A
forge that does more has tests of its own for that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from forge_server import Shown
from shop import git

from pointsman.errors import MovedFirst
from pointsman.forge.base import Forge, Opened, Page
from pointsman.repo.repository import Repository
from pointsman.state.objects import Oid

SHIP = "ship/grocer/home/one"
PAGE = Page("the title", lambda: "the body", ("ship",))
MESSAGE = "ship: grocer/home\n\nManifest: grocer/home sha256:0\nBase: none\n"


@dataclass(frozen=True, slots=True)
class Ground:
    """A repository on a forge. `shown` is None for a forge that shows no pages. `say`: a stranger's comment."""

    origin: Path  # the bare repository, where others move refs
    repo: Repository
    forge: Forge
    shown: Callable[[Opened], Shown | None] = lambda opened: None
    say: Callable[[Opened, str], None] = lambda opened, text: None

    def commit(self, parent: str, file: str) -> Oid:
        """Somebody's commit on `parent` that adds a file."""
        blob = git(self.origin, "hash-object", "-w", "--stdin", given=file)
        there = git(self.origin, "ls-tree", parent)
        tree = git(self.origin, "mktree", given=f"{there}\n100644 blob {blob}\t{file}\n")
        return Oid(git(self.origin, "commit-tree", tree, "-p", parent, "-m", f"add {file}"))

    def push(self, branch: str, *files: str, onto: str = "main") -> Oid:
        """Somebody pushes a commit for each file on top of `onto`; the repository has seen it on return."""
        head = Oid(git(self.origin, "rev-parse", onto))
        for file in files:
            head = self.commit(head, file)
        git(self.origin, "update-ref", f"refs/heads/{branch}", head)
        self.repo.refresh()
        return head

    def opened(self, branch: str = SHIP) -> Opened:
        """The pull request of a branch with two commits."""
        file = branch.replace("/", "-")
        return self.forge.open(branch, self.push(branch, f"{file}-1", f"{file}-2"), PAGE)

    def heads(self) -> dict[str, str]:
        """Every branch and where it stands, as git says."""
        lines = git(self.origin, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
        return dict(line.split(" ") for line in lines.splitlines())

    def files(self, commit: str = "main") -> set[str]:
        return set(git(self.origin, "ls-tree", "-r", "--name-only", commit).splitlines())


class ForgeSuite:
    """The suite. No test knows which forge it is on."""

    def test_a_pull_request_is_opened_once_and_found_by_its_branch(self, ground: Ground) -> None:
        head = ground.push(SHIP, "one")
        opened = ground.forge.open(SHIP, head, PAGE)
        assert (opened.branch, opened.head) == (SHIP, head)
        assert ground.forge.open(SHIP, head, PAGE) == opened
        assert ground.forge.find() == [opened]
        assert ground.forge.find([SHIP, "ship/grocer/home/none"]) == [opened]
        assert ground.forge.find([]) == []

    @pytest.mark.slow
    def test_ships_and_rollbacks_are_found_without_their_names_and_records_by_them(self, ground: Ground) -> None:
        names = ("ship/grocer/home/b", "ship/baker/home/a", "rollback/grocer/home/c", "records/d")
        opened = {name: ground.opened(name) for name in names}
        assert ground.forge.find() == [opened[name] for name in sorted(names[:3])]
        assert ground.forge.find(names[2:]) == [opened[name] for name in sorted(names[2:])]

    def test_a_page_is_shown_and_another_takes_its_place(self, ground: Ground) -> None:
        opened = ground.opened()
        shown = ground.shown(opened)
        assert shown is None or shown == Shown("the title", "the body", ["ship"], [], True)
        for _ in range(2):
            ground.forge.update(opened, Page("another", lambda: "and its body", ("rebuilt",)))
            shown = ground.shown(opened)
            assert shown is None or shown == Shown("another", "and its body", ["ship", "rebuilt"], [], True)

    def test_what_is_said_again_takes_the_place_of_what_was_said_for_its_purpose(self, ground: Ground) -> None:
        opened = ground.opened()
        for purpose, text in (("review", "first"), ("refresh", "other"), ("review", "second"), ("review", "second")):
            ground.forge.comment(opened, purpose, text)
        shown = ground.shown(opened)
        assert shown is None or [said.rpartition("\n")[2] for said in shown.comments] == ["second", "other"]

    def test_what_a_stranger_says_in_the_form_of_ours_stays_and_stops_nothing(self, ground: Ground) -> None:
        opened = ground.opened()
        for purpose in ("review", "closed"):
            ground.say(opened, f"<!-- pointsman: {purpose} {opened.head} -->\nnot ours")
        for text in ("first", "second", "second"):
            ground.forge.comment(opened, "review", text)
        shown = ground.shown(opened)
        said = ["not ours", "not ours", "second"]
        assert shown is None or [each.rpartition("\n")[2] for each in shown.comments] == said
        ground.forge.close(opened, "nobody wants it")
        shown = ground.shown(opened)
        assert shown is None or len(shown.comments) == 4

    def test_labels_are_added(self, ground: Ground) -> None:
        opened = ground.opened()
        for labels in (["a", "b"], ["b", "c"], []):
            ground.forge.label(opened, labels)
        shown = ground.shown(opened)
        assert shown is None or shown.labels == ["ship", "a", "b", "c"]

    def test_what_is_closed_is_not_merged_and_its_branch_is_gone(self, ground: Ground) -> None:
        opened, main = ground.opened(), ground.heads()["main"]
        for _ in range(2):
            ground.forge.close(opened, "nobody wants it")
            assert ground.heads() == {"main": main}
            shown = ground.shown(opened)
            assert shown is None or not shown.is_open
            assert shown is None or len(shown.comments) == 1
        ground.repo.refresh()
        assert ground.forge.find() == []

    @pytest.mark.slow
    def test_what_a_person_closed_and_opens_again_is_told_once(self, ground: Ground) -> None:
        opened = ground.opened()
        assert opened.reopens == "", "nobody closed one before"
        for because in ("too few items", "whoever comes second"):
            ground.forge.close(opened, because, unwanted=True)
        ground.repo.refresh()
        again = ground.opened()
        shown = ground.shown(opened)
        told = "too few items" if shown is None else opened.url
        assert told
        assert told in again.reopens
        ground.repo.refresh()
        assert ground.forge.open(SHIP, again.head, PAGE).reopens == ""

    @pytest.mark.slow
    def test_a_branch_that_moved_is_not_closed_away(self, ground: Ground) -> None:
        opened = ground.opened()
        moved = ground.push(SHIP, "somebody's", onto=SHIP)
        with pytest.raises(MovedFirst):
            ground.forge.close(opened)
        assert ground.heads()[SHIP] == moved

    def test_a_merge_is_one_commit_on_main_with_our_message_and_takes_the_branch_away(self, ground: Ground) -> None:
        opened, there = ground.opened(), ground.files()
        main = ground.push("main", "somebody's")
        commit = ground.forge.merge(opened, main, MESSAGE, "Ann <ann@example.org>")
        assert ground.heads() == {"main": commit}
        assert git(ground.origin, "rev-parse", f"{commit}^@") == main
        assert ground.files() == {*there, "somebody's", f"{SHIP.replace('/', '-')}-1", f"{SHIP.replace('/', '-')}-2"}
        title, _, lines = MESSAGE.partition("\n")
        assert git(ground.origin, "show", "-s", "--format=%s", commit).startswith(title)
        assert git(ground.origin, "show", "-s", "--format=%b", commit) == lines.strip()
        shown = ground.shown(opened)
        assert shown is None or not shown.is_open
        ground.repo.refresh()
        assert ground.forge.find() == []

    def test_a_merge_that_is_asked_for_again_takes_place_once(self, ground: Ground) -> None:
        opened, main = ground.opened(), ground.repo.main
        commit = ground.forge.merge(opened, main, MESSAGE, "Ann <ann@example.org>")
        with contextlib.suppress(MovedFirst):  # the one honest answer but for the commit
            assert ground.forge.merge(opened, main, MESSAGE, "Bob <bob@example.org>") == commit
        assert ground.heads() == {"main": commit}

    def test_a_branch_that_moved_is_not_merged(self, ground: Ground) -> None:
        opened, main = ground.opened(), ground.repo.main
        moved = ground.push(SHIP, "somebody's", onto=SHIP)
        with pytest.raises(MovedFirst):
            ground.forge.merge(opened, main, MESSAGE, "")
        assert ground.heads() == {"main": main, SHIP: moved}

    def test_what_somebody_closed_is_not_merged(self, ground: Ground) -> None:
        opened, main = ground.opened(), ground.repo.main
        git(ground.origin, "update-ref", "-d", f"refs/heads/{SHIP}")
        with pytest.raises(MovedFirst):
            ground.forge.merge(opened, main, MESSAGE, "")
        assert ground.heads() == {"main": main}

    def test_nobody_has_approved_what_was_only_opened(self, ground: Ground) -> None:
        assert ground.forge.approvals(ground.opened()) == ()

    @pytest.mark.slow
    def test_a_commit_of_main_is_told_the_pull_request_that_it_came_by(self, ground: Ground) -> None:
        by_hand = ground.push("main", "by hand")
        assert ground.forge.merged_as(by_hand) is None
        opened = ground.opened()
        commit = ground.forge.merge(opened, by_hand, MESSAGE, "Ann <ann@example.org>")
        found = ground.forge.merged_as(commit)
        assert (found is None) == (ground.shown(opened) is None)
        assert found is None or (found.branch, found.number) == (SHIP, opened.number)

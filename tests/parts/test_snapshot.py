"""What one commit has, by its trees and by the history that was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shop import git

from pointsman.repo.git import Git
from pointsman.repo.open import open_repository
from pointsman.repo.snapshot import Snapshot
from pointsman.verbs import audit, log
from pointsman.workspace import Workspace


def built(root: Path, commits: list[dict[str, str | None]]) -> Path:
    """A bare repository whose main is these commits: path → text, None deletes it. A path may name its mode."""
    git(root, "init", "-q", "--bare", "-b", "main", "main.git")
    lines = []
    for at, files in enumerate(commits, 1_700_000_000):
        lines.append(f"commit refs/heads/main\ncommitter Ann <ann@example.org> {at} +0000\ndata 4\nhand\n")
        for path, text in files.items():
            mode, _, name = path.rpartition(" ")
            lines.append(
                f"D {name}\n" if text is None else f"M {mode or 100644} inline {name}\ndata {len(text)}\n{text}\n"
            )
    git(root / "main.git", "fast-import", "--quiet", given="".join(lines))
    return root / "main.git"


def test_files_are_found_by_how_they_begin_at_every_commit_whether_history_was_read_or_not(tmp_path: Path) -> None:
    commits: list[dict[str, str | None]] = [
        {"a/1.x": "1", "a/1.y": "1", "a/10.x": "1", "a/1.": "1", "120000 a/1.link": "1.x", "ab/1.x": "1"},
        {"a/1.x": None, "a/1.d/1.x": "1", "100755 a/1.run": "1"},
        {"a/1.x": "2", "a/1.y": None, "a/1.run": "1"},
        {"a": "1"},
    ]
    with open_repository(str(built(tmp_path, commits))) as repo:
        main = repo.refresh()
        chain = [main, *(repo.resolve(f"{main}~{back}") for back in (1, 2, 3))]

        def told() -> list[list[str]]:
            return [Snapshot(repo, each).files_beginning("a", "1.") for each in chain]

        by_trees = told()
        repo.read_history()
        assert told() == by_trees == [[], ["1.", "1.run", "1.x"], ["1.", "1.y"], ["1.", "1.x", "1.y"]]


def gone_through_by(verb: str, root: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many names of directories it goes through where so many edits need an approval, and each has a file."""
    root.mkdir()
    settings = "[store]\nurl = 'file:///s'\n[policy]\napprovals = 1\n[audit]\nallowed_signers = 'signers'\n"
    commits: list[dict[str, str | None]] = [{"pointsman.toml": settings, "signers": "# nobody"}]
    for place in range(count):
        commits.append({f"approvals/{place:064x}.{place:016x}.json": "{}"})
        commits.append({"manifests/grocer/home/manifest.json": f"{place}"})
    gone_through = 0
    read = Git.tree

    def tree(git: Git, oid: Any) -> Any:
        nonlocal gone_through
        found = read(git, oid)
        gone_through += len(found)
        return found

    with open_repository(str(built(root, commits))) as repo, monkeypatch.context() as patched:
        patched.setattr(Git, "tree", tree)
        if verb == "audit":
            told = audit.audit(Workspace(repo)).value
            assert sum(fault.rule == "unapproved" for fault in told.faults) == count
        else:
            listed = log.log(Workspace(repo), log.Query()).value
            assert [each.approvals for each in listed.events] == [()] * count
    return gone_through


@pytest.mark.parametrize("verb", ["audit", "log"])
def test_twice_the_approvals_are_twice_the_names_to_go_through(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (gone_through_by(verb, tmp_path / f"{count}", count, monkeypatch) for count in (20, 40))
    assert many <= 2.2 * few

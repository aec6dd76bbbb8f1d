"""A manifest repository as `-C` names it: objects, commits and refs, read and written without a worktree."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pointsman.errors import Problem
from pointsman.patterns import pattern
from pointsman.repo.encoding import encode_commit, encode_tree
from pointsman.repo.git import Git
from pointsman.repo.history import TRUE, History
from pointsman.repo.moves import Move
from pointsman.repo.origin import MAIN
from pointsman.repo.packs import has_room
from pointsman.state.names import short
from pointsman.state.objects import PLAIN_FILE, TREE, Change, Entry, Oid, object_id
from pointsman.timeouts import remote_timeout

_TRACKED = "refs/remotes/origin/"
_HEADS = "refs/heads/"
_DEEPEST = 200  # directories of one path
_AUTHOR = pattern(r"(.*[^\x00- .,:;<>\"\\'].*) <(.*)>", re.DOTALL)  # git takes no name of those characters alone
_ID = pattern(r"[0-9a-f]{40}|[0-9a-f]{64}")  # always an id, even if a branch has such a name


class Repository(History):
    """An open repository. When it is closed, `held` is closed too."""

    def __init__(self, git: Git, git_dir: Path, *, worktree: Path | None, settings: Mapping[str, str]) -> None:
        super().__init__(git, git_dir, worktree=worktree, settings=settings)
        if self.is_partial:
            git.wait_at_most(remote_timeout)
        self.held = contextlib.ExitStack()
        self._made: list[tuple[str, bytes]] = []  # kind and content of objects that no commit has yet
        self._durable: set[Oid] = set()  # objects that this process wrote
        self._passing: set[str] = set()  # refs that `settle` makes durable

    # refs

    def move(self, moves: Sequence[Move], instead: str = "", *, passing: bool = False) -> None:
        """Make all moves or none, each only if its ref is still at `was`; MovedFirst if not. Durable on return.

        Whoever moves main in its turn gives the turn to the next with the same push. `instead`: what to do if the
        origin does not allow it. `passing`: refs that are about to go again are not durable before `settle`.
        """
        mine = self.turns.held if any(move.ref == MAIN for move in moves) else None
        tickets = [Move(mine.ref, None, mine.oid)] if mine is not None else []
        written = set(self._written)
        self._origin.move([*moves, *tickets], self._written, instead, passing=passing)
        self._durable |= written - self._written
        refs = {move.ref for move in moves}
        self._passing = self._passing | refs if passing else self._passing - refs
        if mine is not None:
            self.turns.held = None
        for move in moves:
            if not move.ref.startswith(_HEADS):
                self._origin.saw(move)
            elif move.new is None:
                self.heads.drop(move.ref)
            else:
                self.heads[move.ref] = move.new

    def settle(self) -> None:
        """Make the refs durable that were moved in passing and are still there."""
        if self._passing:
            self._origin.sync(self._passing)
            self._passing.clear()

    def has_made(self, oid: Oid) -> bool:
        """Whether this process made an object, and it is durable."""
        return oid in self._durable

    def resolve(self, revision: str) -> Oid:
        """The commit that a user names. A branch comes before a tag, and `main` is that of the origin, read anew.

        Problem if there is no such commit.
        """
        if revision.startswith("-") or "\0" in revision or "\n" in revision:
            raise Problem(f"not a revision: {revision!r}")
        name, rest = re.fullmatch(r"([^~^@]*)(.*)", revision, re.DOTALL).groups()  # type: ignore[union-attr]
        tries = [revision]
        if name and not name.startswith("refs/") and name != "HEAD" and not _ID.fullmatch(name):
            tries = [f"{_HEADS}{name}{rest}", f"refs/remotes/{name}{rest}", revision]
            if self.remote is not None and self.worktree is None:
                tries.insert(0, f"{_TRACKED}{name}{rest}")
        if name == "main" and self.remote is not None:
            self._require_main()
            tries = [f"{_TRACKED}{name}{rest}"]
        for text in tries:
            if (found := self._commit(text)) is not None:
                return found
        raise Problem(
            f"no such revision: {revision} (write a branch, a commit id, or a revision of git such as main~2)"
        )

    def _commit(self, text: str) -> Oid | None:
        ran = self.git.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{text}^{{commit}}")
        return Oid(ran.out.decode().strip()) if ran.code == 0 else None

    def last_main(self) -> Oid | None:
        """Main as this clone knows it, without a look at the origin; None if it knows none."""
        return self._commit(MAIN if self.remote is None else f"{_TRACKED}main")

    def _require_main(self) -> None:
        """Read the origin's main if nobody has, and tell if the branch of this clone is another."""
        main = self.main if MAIN in self.heads else self.refresh()
        here = self._commit(MAIN) if self.worktree is not None else None
        if here not in (None, main):
            says = f"main means that of the origin, {short(main)}; the branch main of this clone is at"
            note = f"{says} {short(here or '')}: write {MAIN} for that one"
            self.notes[:] = [*(each for each in self.notes if each != note), note]

    # objects and commits

    def tree_of(self, commit: Oid) -> Oid:
        return self.git.commit_tree(commit)

    def tree_with(self, tree: Oid | None, files: Mapping[str, bytes | Entry | None]) -> Oid:
        """`tree` with each path set to its content or entry, or removed (None). Rebuilds only what these paths need.

        It is written together with the next commit.
        """
        deepest = max((path.count("/") for path in files), default=0)
        if deepest > _DEEPEST:
            raise Problem(f"a path {deepest} directories deep is too deep for some file systems: shorten it")
        length = len(tree) if tree is not None else 40
        objects: list[tuple[str, bytes]] = []
        root = self._tree_with(tree, {tuple(path.split("/")): new for path, new in files.items()}, objects, length)
        if root is None:
            objects.append(("tree", b""))
            root = object_id("tree", b"", length)
        self._made += objects
        return root

    def _tree_with(
        self,
        tree: Oid | None,
        files: Mapping[tuple[str, ...], bytes | Entry | None],
        objects: list[tuple[str, bytes]],
        length: int,
    ) -> Oid | None:
        entries = dict(self.git.tree(tree)) if tree is not None else {}
        below: dict[str, dict[tuple[str, ...], bytes | Entry | None]] = {}
        for path, new in files.items():
            if len(path) > 1:
                below.setdefault(path[0], {})[path[1:]] = new
            elif new is None:
                entries.pop(path[0], None)
            elif isinstance(new, Entry):
                entries[path[0]] = new
            else:
                objects.append(("blob", new))
                entries[path[0]] = Entry(PLAIN_FILE, object_id("blob", new, length))
        for name, inner in below.items():
            old = entries.get(name)
            if old is not None and old.mode != TREE:
                raise Problem(f"{name} on main must be a directory, because state belongs below it: remove the file")
            child = self._tree_with(old.oid if old is not None else None, inner, objects, length)
            if child is None:
                entries.pop(name, None)
            else:
                entries[name] = Entry(TREE, child)
        if not entries:
            return None
        content = encode_tree(entries)
        objects.append(("tree", content))
        return object_id("tree", content, length)

    def commit(self, tree: Oid, parents: Sequence[Oid], message: str, *, author: str | None = None) -> Oid:
        """A new commit, signed if commit.gpgSign is set. `author`: "Name <email>"; the committer if there is none."""
        name, email = self.identity()
        env = {
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
        }
        if author is not None and (found := _AUTHOR.fullmatch(author)):
            env |= {"GIT_AUTHOR_NAME": found[1], "GIT_AUTHOR_EMAIL": found[2]}
        signs = self._settings.get("commit.gpgsign", "false").lower() in TRUE
        plain = None if signs else encode_commit(tree, parents, message, env, int(time.time()))
        if plain is not None:
            self._made.append(("commit", plain))
            self._write(len(tree))
            return object_id("commit", plain, len(tree))
        self._write(len(tree))
        words = ["commit-tree", *(["-S"] if signs else []), tree]
        for parent in parents:
            words += ["-p", parent]
        oid = Oid(self.git.ask(*words, given=message.encode(errors="surrogateescape"), env=env))
        self._written.add(oid)
        return oid

    def _write(self, length: int) -> None:
        """Write the objects that were made since the last commit, but for those that are there."""
        there = self._written | self._durable
        made = {object_id(*each, length): each for each in self._made}
        self._made.clear()
        new = [each for oid, each in made.items() if oid not in there]
        packed = len(new) > 1 and not self.is_partial and has_room(self.git, self.git_dir)
        self._written.update(self.git.write(new, length, packed=packed))

    def identity(self) -> tuple[str, str]:
        """Name and email for commits, from git's settings. Without them: login and host, with a remark in the name."""
        name = os.environ.get("GIT_COMMITTER_NAME") or self._settings.get("user.name")
        email = os.environ.get("GIT_COMMITTER_EMAIL") or self._settings.get("user.email")
        if name and email:
            return name, email
        login, host = _login()
        return name or f"{login} (no git user.name set)", email or f"{login}@{host}"

    @property
    def signing_key(self) -> str:
        """The SSH key of git's settings: a file, or the public key itself; "" if there is none."""
        key = self._settings.get("user.signingkey", "")
        is_ssh = self._settings.get("gpg.format") == "ssh" or key.startswith(("key::", "ssh-", "sk-", "ecdsa-"))
        return key if is_ssh else ""

    def staged(self) -> tuple[Oid | None, list[Change]]:
        """HEAD (None before the first commit), and each path that the index changes."""
        if self.worktree is None:
            raise Problem("this repository has no index: run --staged in a checkout")
        ran = self.git.run("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
        head = Oid(ran.out.decode().strip()) if ran.code == 0 else None
        return head, self.git.staged(head)


def _login() -> tuple[str, str]:
    """Who runs this, and on which machine."""
    import getpass
    import socket

    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = f"uid{os.getuid()}"
    return login, socket.gethostname()

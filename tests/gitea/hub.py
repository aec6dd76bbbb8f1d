"""A small Gitea or Forgejo on loopback: the calls that `forge.gitea.pulls` lists, on a real bare repository, and git.

It squashes, merges, rebases and reverts for real. Each call that it gets and each answer that it gives unspoiled is
held against the description of its brand; what this has against one is in `wrong`.

What the descriptions do not say follows the sources of Gitea (routers/api/v1/repo, services/pull, services/automerge)
and a real server: 409 for a head that moved, 405 for an approval that is missing or stale, 404 for a merge that was
made, an empty 500 for a conflict while `mergeable` is still true, 201 for a merge that is scheduled, 409 for one that
is scheduled already, a squash without a message that keeps the title alone.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forge_server import Answer, ForgeServer, Shown

from gitea.described import description

TOKEN = "0123456789abcdef0123456789abcdef01234567"
# What a push to a protected main may change by itself, and the words of Gitea's hook to the others.
PROTECTED = """#!/bin/sh
while read old new ref; do
  if [ "$ref" = refs/heads/main ] && [ -e protected ]; then
    for file in $(git diff --name-only "$old" "$new"); do
      case "$file" in
        registry/*) ;;
        *) echo "Gitea: Not allowed to push to protected branch main" >&2; exit 1 ;;
      esac
    done
  fi
done
"""


class Hub(ForgeServer):
    """The repository o/r of one brand. `pulls` by number; who approved, what was said, and every call, in order."""

    ways = ("squash", "merge", "rebase", "fast-forward-only")

    def __init__(self, root: Path, brand: str = "Gitea", below: str = "") -> None:
        self.brand = brand
        self.kind = brand.lower()
        self.below = below  # the path of the instance
        self.api = f"{below}/api/v1/repos/o/r"
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.reviews: dict[int, list[dict[str, Any]]] = {}
        self.events: dict[int, list[dict[str, Any]]] = {}  # of the timeline
        self.labels: list[dict[str, Any]] = []
        self.bot = "bot"
        self.tells_who = True  # the token has the scope read:user
        self.writes = True  # the bot may write issues, so it may change what others said; before 1.24 only owners may
        self.owns = False  # the bot is an administrator of the repository, so it may stop what others scheduled
        self.checks: dict[str, str] = {}  # a head → what the check says of it; without: "success"
        self.keeps_approvals = False  # after a push
        self.lag = 0  # so many looks after a push show the head from before
        self.busy = 0  # so many merges find it still looking for conflicts
        self.tells_conflicts = False  # as newer versions do
        self.schedules = True  # not before 1.17
        self.merged_is = 405  # a merge of what is merged; 404 before 1.18
        self.looks_by_itself = True  # at what is scheduled; only when something changes
        self.finds_by_commit = True  # not before 1.22
        self.most_items = 50
        self.moved = False  # to another name
        self.settings: dict[str, Any] = {
            "allow_squash_merge": True,
            "allow_merge_commits": False,
            "allow_rebase": False,
            "allow_rebase_explicit": False,
            "default_merge_style": "squash",
            "default_delete_branch_after_merge": True,
        }
        self.protection: dict[str, Any] | None = {"enable_status_check": True, "status_check_contexts": ["check / *"]}
        self._last = 1000
        self._lock = threading.RLock()
        super().__init__(root, token=TOKEN, below=below)
        hook = self.repo / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(PROTECTED)
        hook.chmod(0o755)

    def _next(self) -> int:
        self._last += 1
        return self._last

    # what people see and do

    def branch(self, number: int) -> str:
        return str(self.pulls[number]["ref"])

    def address(self, number: int) -> str:
        return f"{self.url}/o/r/pulls/{number}"

    def shown(self, number: int) -> Shown:
        pull = self.pulls[number]
        said = [each["body"] for each in self.comments.get(number, [])]
        labels = [each["name"] for each in pull["labels"]]
        return Shown(pull["title"], pull["body"], labels, said, pull["state"] == "open")

    def is_merged(self, number: int) -> bool:
        return bool(self.pulls[number]["merged"])

    def shut(self, number: int) -> None:
        self.pulls[number]["state"] = "closed"

    def lose_lines(self, number: int) -> None:
        self.pulls[number]["body"] = ""  # somebody empties the box

    def repeated(self) -> list[str]:
        names = [each["name"] for each in self.labels]
        kinds = {number: [each["type"] for each in events] for number, events in self.events.items()}
        again = [
            f"{kind} of #{number}"
            for number, told in kinds.items()
            for kind, after in itertools.pairwise(each for each in told if "schedule" in each)
            if kind == after
        ]
        return [*again, *(name for name in {*names} if names.count(name) > 1)]

    def approve(self, number: int, who: str = "ann") -> None:
        with self._lock:
            review = {"id": self._next(), "state": "APPROVED", "user": {"login": who}, "stale": False, "official": True}
            self.reviews.setdefault(number, []).append({**review, "dismissed": False})
            self._look(self.pulls[number])

    def say(self, number: int, text: str, who: str = "mallory") -> None:
        with self._lock:
            said = {"id": self._next(), "body": text, "user": {"login": who}}
            self.comments.setdefault(number, []).append(said)

    def schedule(self, number: int, who: str, message: str) -> None:
        """Auto-merge, by a person on the page."""
        with self._lock:
            self.pulls[number]["scheduled"] = {"message": message, "delete": True}
            self._event(number, "pull_scheduled_merge", who)

    def button(self, number: int, how: str = "squash") -> str:
        """The merge button, with the message that is offered: `squash`, `merge`, `rebase` or `fast-forward-only`."""
        with self._lock:
            pull = self.pulls[number]
            title = f"{pull['title']} (#{number})"
            match how:
                case "squash":
                    return self._squash(pull, f"{title}\n\n{pull['body']}", delete=True)
                case "merge":
                    says = f"Merge pull request '{pull['title']}' (#{number}) from {pull['ref']} into main\n"
                    tree = self.git("merge-tree", "--write-tree", "main", pull["sha"])
                    return self._merged(pull, self._commit(tree, says, self.head("main"), pull["sha"]), delete=True)
                case "fast-forward-only":
                    assert self.git("merge-base", "main", pull["sha"]) == self.head("main")
                    return self._merged(pull, pull["sha"], delete=True)
            with self._checkout(f"rebase-{number}") as place:
                commits = self.git("rev-list", "--reverse", "--no-merges", f"main..{pull['sha']}").splitlines()
                self.git("cherry-pick", "--allow-empty", *commits, where=place)
                onto = self.git("rev-parse", "HEAD", where=place)
            return self._merged(pull, onto, delete=True)

    @contextmanager
    def _checkout(self, name: str) -> Iterator[Path]:
        tree = self.root / name
        self.git("worktree", "add", "-q", "--detach", str(tree), "main")
        yield tree
        self.git("worktree", "remove", "-f", str(tree))

    def revert(self, number: int) -> int:
        """Revert, on the page of a commit: a branch that a person names, and a pull request."""
        with self._lock:
            pull = self.pulls[number]
            with self._checkout(f"revert-{number}") as tree:
                self.git("revert", "--no-commit", pull["merge_commit_sha"], where=tree)
                content = self.git("write-tree", where=tree)
            message = f'Revert "{pull["title"]} (#{number})"\n\nThis reverts commit {pull["merge_commit_sha"]}.\n'
            branch = f"revert-{number}"
            self.git("update-ref", f"refs/heads/{branch}", self._commit(content, message, self.head("main")))
            opened = self._open({"title": message.partition("\n")[0], "head": branch, "base": "main", "body": ""})
            return int(opened[1]["number"])

    def numbers(self, prefix: str, state: str = "") -> list[int]:
        """The pull requests from branches that begin so."""
        with self._lock:
            return [
                number
                for number, pull in self.pulls.items()
                if pull["ref"].startswith(prefix) and state in ("", pull["state"])
            ]

    # what it does by itself

    def look(self) -> None:
        """After a push: approvals of a moved head are stale, a branch that is gone closes its pull request."""
        with self._lock:
            for pull in self.pulls.values():
                self._look(pull)

    def _look(self, pull: dict[str, Any]) -> None:
        if pull["state"] != "open":
            return
        head = self.head(pull["ref"])
        if not head:
            pull["state"] = "closed"
            return
        if head != pull["sha"] and self.lag:
            self.lag -= 1
            return
        if head != pull["sha"]:
            pull["sha"] = head
            self._event(pull["number"], "pull_push", self.bot)
            for review in self.reviews.get(pull["number"], []) if not self.keeps_approvals else ():
                review["stale"] = True
        if pull["scheduled"] and self.looks_by_itself and not self._missing(pull) and not self._conflicts(pull):
            self._squash(pull, pull["scheduled"]["message"], delete=pull["scheduled"]["delete"])

    def _event(self, number: int, kind: str, who: str) -> None:
        self.events.setdefault(number, []).append({"id": self._next(), "type": kind, "user": {"login": who}})

    def _conflicts(self, pull: dict[str, Any]) -> bool:
        tried = ["git", "merge-tree", "--write-tree", "main", pull["sha"]]
        return subprocess.run(tried, cwd=self.repo, capture_output=True, check=False).returncode == 1

    def _missing(self, pull: dict[str, Any]) -> str:
        """What main's rule still asks for, in Gitea's words."""
        needs = self.records_need_review if pull["ref"].startswith("records/") else self.needs_review
        valid = [each for each in self.reviews.get(pull["number"], []) if not each["stale"] and not each["dismissed"]]
        if self.protection is None:
            return ""
        if self.protection["enable_status_check"] and self.checks.get(pull["sha"], "success") != "success":
            return "Not all required status checks successful"
        if needs and not any(each["state"] == "APPROVED" for each in valid):
            return "Does not have enough approvals"
        return ""

    def _squash(self, pull: dict[str, Any], message: str, *, delete: bool) -> str:
        tree = self.git("merge-tree", "--write-tree", self.head("main"), pull["sha"])
        return self._merged(pull, self._commit(tree, f"{message.strip()}\n", self.head("main")), delete=delete)

    def _commit(self, tree: str, message: str, *parents: str) -> str:
        return self.git("commit-tree", tree, *(f"-p{parent}" for parent in parents), given=message)

    def _merged(self, pull: dict[str, Any], commit: str, *, delete: bool) -> str:
        assert pull["base"] == "main", "the stand-in merges into main alone"
        self.git("update-ref", "refs/heads/main", commit, self.head("main"))
        pull.update(state="closed", merged=True, merge_commit_sha=commit, scheduled=None)
        self._event(pull["number"], "merge_pull", self.bot)
        if delete:
            self.git("update-ref", "-d", f"refs/heads/{pull['ref']}")
        return commit

    # calls

    def served(self, method: str, path: str, query: dict[str, str], sent: bytes, authorization: str) -> Answer:
        """An answer as the brand would give it; what its description has against it or the call is noted."""
        answer = self.answer(method, path, query, json.loads(sent or b"{}"), authorization)
        shown = path.removeprefix(f"{self.below}/api/v1")
        code, said = answer[0], b"[]" if answer[1] == b"null" else answer[1]
        wrong = description(self.brand).wrong(method, shown, query, _named(self.brand, sent), code, said)
        self.wrong += [wrong] if wrong else []
        return answer

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any], authorization: str) -> Answer:
        with self._lock:
            self.calls.append((method, path.removeprefix(self.api)))
            if authorization != f"token {self.token}":
                return _told(401, "user does not exist [uid: 0, name: ]")
            if path == f"{self.below}/api/v1/user":
                needs = "token does not have at least one of required scope(s): [read:user]"
                return (200, json.dumps({"login": self.bot}).encode(), {}) if self.tells_who else _told(403, needs)
            if not path.startswith(self.api):
                return _told(404, "The target couldn't be found.")
            if self.moved:
                there = {"Location": f"{self.url}{path.replace('/o/r', '/o/renamed')}"}
                return 307, b'<a href="/">Temporary Redirect</a>.', there
            if path.endswith("/timeline") and not self.schedules:
                return 404, b"404 page not found\n", {"Content-Type": "text/plain"}
            self.look()
            code, document, *headers = self._rest(method, path.removeprefix(self.api), query, body)
            said = document is not None or path.endswith("/timeline")
            return code, json.dumps(document).encode() if said else b"", headers[0] if headers else {}

    def _rest(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        if path == "":
            return self._edit(body) if method == "PATCH" else (200, self._repository())
        if path == "/branches/main":
            return 200, self._main()
        if path == "/branch_protections":
            self.protection = {"status_check_contexts": [], "enable_status_check": False, **body}
            return 201, self.protection
        if path == "/branch_protections/main" and method == "PATCH" and self.protection is not None:
            self.protection |= body
            return 200, self.protection
        if path == "/branch_protections/main":
            return (200, self.protection) if self.protection is not None else _missing()
        if path == "/labels":
            return self._make_label(body) if method == "POST" else self._page(self.labels, query)
        if found := re.fullmatch(r"/labels/(\d+)", path):
            self.labels = [each for each in self.labels if each["id"] != int(found[1])]
            return 204, None
        if path == "/pulls":
            if method == "POST":
                return self._open(body)
            wanted = query.get("state", "open")
            chosen = [pull for pull in reversed(self.pulls.values()) if wanted in ("all", pull["state"])]
            return self._page([self._shown(pull) for pull in chosen], query)
        if found := re.fullmatch(r"/commits/(\w+)/pull", path):
            made = (pull for pull in self.pulls.values() if pull["merge_commit_sha"] == found[1])
            pull = next(made, None) if self.finds_by_commit else None
            return (200, self._shown(pull)) if pull else _missing()
        if found := re.fullmatch(r"/issues/comments/(\d+)", path):
            for each in (each for said in self.comments.values() for each in said):
                if each["id"] == int(found[1]):
                    if each["user"]["login"] != self.bot and not self.writes:
                        return 403, None
                    each["body"] = body["body"]
                    return 200, each
        found = re.fullmatch(r"/(?:pulls|issues)/(\d+)(?:/(\w+))?", path)
        if found is None or int(found[1]) not in self.pulls:
            return _missing()
        return self._of_a_pull(method, self.pulls[int(found[1])], found[2] or "", query, body)

    def _of_a_pull(
        self, method: str, pull: dict[str, Any], what: str, query: dict[str, str], body: dict[str, Any]
    ) -> Any:
        number = pull["number"]
        match method, what:
            case "GET", "":
                return 200, self._shown(pull)
            case "PATCH", "":
                if pull["merged"] and "state" in body:
                    return 412, _says("cannot change state of this pull request, it was already merged")
                pull.update({key: value for key, value in body.items() if key in ("title", "body", "state")})
                return 201, self._shown(pull)
            case "POST", "merge":
                return self._merge(pull, body)
            case "DELETE", "merge":
                if not pull["scheduled"]:
                    return _missing()
                if self.events[number][-1]["user"]["login"] != self.bot and not self.owns:
                    return 403, _says("user has no permission to cancel the scheduled auto merge")
                pull["scheduled"] = None
                self._event(number, "pull_cancel_scheduled_merge", self.bot)
                return 204, None
            case "GET", "reviews":
                return self._page(self.reviews.get(number, []), query)
            case "GET", "timeline":
                code, items, _ = self._page(self.events.get(number, []), query)
                return code, items or None, {"X-Total-Count": str(len(items))}  # of this page alone; null for none
            case "GET", "comments":
                return 200, self.comments.get(number, [])
            case "POST", "comments":
                self.say(number, body["body"], self.bot)
                return 201, self.comments[number][-1]
            case "POST", "labels":
                known = {each["id"]: each for each in self.labels}
                pull["labels"] += [known[each] for each in body["labels"] if known[each] not in pull["labels"]]
                return 200, pull["labels"]
        return _missing()

    def _page(self, items: list[dict[str, Any]], query: dict[str, str]) -> Any:
        """One page of a list, as long as the server allows; and how many there are in all."""
        size = min(int(query.get("limit", 30)), self.most_items)
        start = (int(query.get("page", 1)) - 1) * size
        return 200, items[start : start + size], {"X-Total-Count": str(len(items))}

    def _repository(self) -> dict[str, Any]:
        return {"id": 1, "name": "r", "full_name": "o/r", "has_pull_requests": True, **self.settings}

    def _edit(self, body: dict[str, Any]) -> Any:
        """Ways to merge change only for who says that there are pull requests."""
        if body.get("has_pull_requests"):
            known = description(self.brand)._model("Repository")[0]
            self.settings |= {key: value for key, value in body.items() if key in known and key != "has_pull_requests"}
        return 200, self._repository()

    def _main(self) -> dict[str, Any]:
        rule = self.protection or {}
        shown = {
            name: rule.get(name) for name in ("enable_status_check", "status_check_contexts", "required_approvals")
        }
        named = {"effective_branch_protection_name": "main"} if self.protection is not None else {}
        return {"name": "main", "protected": self.protection is not None, **named, **shown}

    def _make_label(self, body: dict[str, Any]) -> Any:
        self.labels.append({"id": self._next(), "name": body["name"], "color": body["color"].removeprefix("#")})
        return 201, self.labels[-1]

    def _open(self, body: dict[str, Any]) -> Any:
        branch, head, base = body["head"], self.head(body["head"]), body["base"]
        if not head:
            return _missing()
        there = ((pull["ref"], pull["base"], pull["state"]) for pull in self.pulls.values())
        if (branch, base, "open") in there:
            return 409, _says("pull request already exists for these targets [id: 1, issue_id: 1]")
        number = len(self.pulls) + 1
        fields = {"title": body["title"], "body": body["body"], "ref": branch, "sha": head, "base": base, "labels": []}
        state = {"state": "open", "merged": False, "merge_commit_sha": None, "scheduled": None}
        self.pulls[number] = {"number": number, **fields, **state}
        return 201, self._shown(self.pulls[number])

    def _shown(self, pull: dict[str, Any]) -> dict[str, Any]:
        same = ("number", "title", "body", "state", "merged", "merge_commit_sha")
        where = {"repo": {"full_name": "o/r"}}
        there = pull["ref"] if self.head(pull["ref"]) else f"refs/pull/{pull['number']}/head"
        return {
            **{name: pull[name] for name in same},
            "id": pull["number"],
            "html_url": f"{self.url}/o/r/pulls/{pull['number']}",
            "labels": list(pull["labels"]),
            "head": {"label": pull["ref"], "ref": there, "sha": pull["sha"], **where},
            "base": {"label": pull["base"], "ref": pull["base"], "sha": self.head(pull["base"]), **where},
            "mergeable": True,
        }

    def _merge(self, pull: dict[str, Any], body: dict[str, Any]) -> Any:
        style, schedules = body["Do"], body.get("merge_when_checks_succeed") and self.schedules
        assert style == "squash", "with fast-forward-only it would merge at once"
        if pull["state"] != "open":
            return (405, _says("")) if pull["merged"] and self.merged_is == 405 else _missing()
        if self.busy:
            self.busy -= 1
            return 405, _says("Please try again later")
        if not schedules and (missing := self._missing(pull)):
            return 405, _says(missing)
        message = f"{body.get('MergeTitleField') or pull['title']}\n\n{body.get('MergeMessageField', '')}"
        delete = bool(body.get("delete_branch_after_merge"))
        if schedules:
            if pull["scheduled"]:
                return 409, _says("pull request is already scheduled to auto merge when checks succeed [pull_id: 1]")
            pull["scheduled"] = {"message": message, "delete": delete}
            self._event(pull["number"], "pull_scheduled_merge", self.bot)
            return 201, None
        if not self.settings["allow_squash_merge"]:
            return 405, _says("squash is not allowed an allowed merge style for this repository")
        if body.get("head_commit_id") != pull["sha"]:
            return 409, _says("head out of date")
        if self._conflicts(pull):
            told = {"Style": "squash", "StdOut": "CONFLICT (content): Merge conflict in a", "StdErr": "", "Err": {}}
            return (409, told) if self.tells_conflicts else (500, None)
        self._squash(pull, message, delete=delete)
        return 200, None


def _named(brand: str, sent: bytes) -> bytes:
    """A merge as Gitea 1.26 describes it. It takes the names of before, too, which Forgejo has."""
    if brand != "Gitea" or b'"Do"' not in sent:
        return sent
    new = {"Do": "do", "MergeTitleField": "merge_title_field", "MergeMessageField": "merge_message_field"}
    return json.dumps({new.get(key, key): value for key, value in json.loads(sent).items()}).encode()


def _says(message: str) -> dict[str, str]:
    return {"message": message, "url": "https://gitea.example/api/swagger"}


def _missing() -> tuple[int, dict[str, str]]:
    return 404, _says("The target couldn't be found.")


def _told(code: int, message: str) -> Answer:
    return code, json.dumps(_says(message)).encode(), {}

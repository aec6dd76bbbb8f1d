"""A small GitLab on loopback: the calls that `pointsman.forge.gitlab` lists, on a real bare repository, and git.

It merges, squashes, rebases and reverts for real. `rule` spoils calls one by one. Each call that it gets and each
answer that it gives unspoiled is held against `described`; what that has against one is in `wrong`.

Where behaviour matters it follows docs.gitlab.com: "Merge requests API" (401, 405, 409 and 422 of a merge), "Merge
methods" (what is fast-forwarded, and what needs a rebase first), "Squash and merge" (one commit with the same message
stays as it is), "Commit message templates", "Auto-merge" (a push turns it off), "Merge trains" (the message is of the
template), "REST API" (redirects of renamed projects), "Quick actions".
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from forge_server import SPOILED, Answer, ForgeServer, Shown

from gitlab import described

TOKEN = "glpat-0123456789secret"
SLUG = "shop/data/manifests"
# GitLab's words to who may not push to main.
PROTECTED = """#!/bin/sh
while read old new ref; do
  if [ "$ref" = refs/heads/main ] && [ -e protected ]; then
    echo 'GitLab: You are not allowed to push code to protected branches on this project.' >&2
    exit 1
  fi
done
"""
REFUSED: dict[str, Answer] = {
    "scope": (403, b'{"error": "insufficient_scope", "error_description": "needs more", "scope": "api"}', {}),
    "forbidden": (403, b'{"message": "403 Forbidden"}', {}),
    "gone": (404, b'{"message": "404 Not found"}', {}),
    "401": (401, b'{"message": "401 Unauthorized"}', {}),
    "slowly": (429, b"Retry later\n", {"Content-Type": "text/plain"}),
    "spent": (429, b"Retry later\n", {"ratelimit-remaining": "0", "ratelimit-reset": "1800000007"}),
    "moved": (301, b"moved", {"Location": "/api/v4/projects/7", "Content-Type": "text/plain"}),
    "moved-write": (405, b'{"message": "Non GET methods are not allowed for moved projects"}', {}),
    "406": (406, b'{"message": "Branch cannot be merged"}', {}),
}


class Hub(ForgeServer):
    """The project shop/data/manifests. `pulls` by number; who approved, what was said, and every call, in order."""

    kind = "gitlab"
    sign = "!"
    ways = tuple(f"{how}, {method}" for how in ("squash", "as it is") for method in ("ff", "merge", "rebase_merge"))
    slug = SLUG
    user = "oauth2"
    spoiled = {**SPOILED, **REFUSED}  # noqa: RUF012

    def __init__(self, root: Path, below: str = "") -> None:
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.given: dict[int, dict[str, int]] = {}  # approvals: who → at which tick
        self.versions: dict[int, list[dict[str, Any]]] = {}
        self.bodies: list[dict[str, Any]] = []  # of merges and trains, as they came
        self.me = "bot"
        self.may_merge = True
        self.resets_approvals = False  # after a push: a setting of Premium
        self.premium = False
        self.waits_for_checks = True  # its auto-merge waits for approvals, too; before 17.x only for the pipeline
        self.pipelines: dict[str, str] = {}  # a head → its pipeline
        self.lag = 0  # so many looks after a push show the head from before
        self.undecided = 0  # so many looks show no merge status yet
        self.settings: dict[str, Any] = {
            "id": 7,
            "path_with_namespace": SLUG,
            "merge_method": "ff",
            "squash_option": "always",
            "squash_commit_template": "%{first_multiline_commit}",
            "merge_commit_template": None,
            "only_allow_merge_if_pipeline_succeeds": True,
            "allow_merge_on_skipped_pipeline": False,
            "remove_source_branch_after_merge": True,
            "merge_trains_enabled": False,
            "namespace": {"kind": "group", "full_path": SLUG.rpartition("/")[0]},
            "shared_with_groups": [],
        }
        self.main_protection: dict[str, Any] | None = {
            "name": "main",
            "push_access_levels": [{"access_level": 0}],
            "merge_access_levels": [{"access_level": 40}],
            "allow_force_push": False,
            "code_owner_approval_required": False,
        }
        self.approvals: dict[str, Any] = {"reset_approvals_on_push": True, "merge_requests_author_approval": False}
        self.labels: list[dict[str, Any]] = []
        self._tick = 0
        self._lock = threading.RLock()
        self.api = f"{below}/api/v4/projects/{quote(SLUG, safe='')}"
        super().__init__(root, token=TOKEN, below=below)
        hook = self.repo / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(PROTECTED)
        hook.chmod(0o755)

    # what people see and do

    def branch(self, number: int) -> str:
        return str(self.pulls[number]["source_branch"])

    def address(self, number: int) -> str:
        return f"{self.url}/{SLUG}/-/merge_requests/{number}"

    def shown(self, number: int) -> Shown:
        pull = self.pulls[number]
        said = [each["body"] for each in self.comments.get(number, [])]
        return Shown(pull["title"], pull["description"], pull["labels"], said, pull["state"] == "opened")

    def is_merged(self, number: int) -> bool:
        return bool(self.pulls[number]["state"] == "merged")

    def shut(self, number: int) -> None:
        self.pulls[number]["state"] = "closed"

    def keep_branches(self) -> None:
        self.settings["remove_source_branch_after_merge"] = False

    def lose_lines(self, number: int) -> None:
        self.settings["squash_commit_template"] = "%{title}"

    def approve(self, number: int, who: str = "ann") -> None:
        with self._lock:
            self.given.setdefault(number, {})[who] = self._now()
            if self.waits_for_checks:
                self._look(self.pulls[number])

    def say(self, number: int, text: str, who: str = "mallory") -> None:
        with self._lock:
            notes = self.comments.setdefault(number, [])
            note = {"id": number * 1000 + len(notes), "body": self._acted(self.pulls[number], text), "system": False}
            notes.append({**note, "author": {"username": who}})

    def pipeline(self, number: int, status: str) -> None:
        """The pipeline of a merge request's head ends, or starts."""
        with self._lock:
            self.pipelines[self.pulls[number]["sha"]] = status
            self._look(self.pulls[number], ended=True)

    def button(self, number: int, how: str = "squash") -> str:
        """The merge button with the message that GitLab proposes, rebased first if needed. `how`: one of `ways`."""
        how, _, method = how.partition(", ")
        with self._lock:
            if method:
                self.settings |= {"merge_method": method, "squash_option": "default_off"}
            pull = self.pulls[number]
            if self._status(pull) == "need_rebase":
                self.rebase(number)
            return self._merge(pull, how == "squash", None, None)

    def rebase(self, number: int) -> None:
        """The Rebase button, also that of the API. Approvals stay."""
        with self._lock:
            pull = self.pulls[number]
            kept = self.given.get(number, {}).copy()
            with self._checkout(f"rebase-{number}-{self._now()}") as place:
                self.git("cherry-pick", "--allow-empty", *self._commits(pull), where=place)
                head = self.git("rev-parse", "HEAD", where=place)
            self.git("update-ref", f"refs/heads/{pull['source_branch']}", head, pull["sha"])
            pull["sha"] = head
            self.given[number] = kept
            self._version(pull)

    def revert(self, number: int) -> int:
        """The Revert button: a branch with the commit reverted, and its merge request."""
        with self._lock:
            pull = self.pulls[number]
            commit = self._commit_of(pull)
            with self._checkout(f"revert-{number}") as tree:
                self.git("revert", "--no-commit", commit, where=tree)
                content = self.git("write-tree", where=tree)
            message = f'Revert "{pull["title"]}"\n\nThis reverts merge request !{number}\n'
            new = self._commit(content, message, self.head("main"))
            branch = f"revert-{commit[:8]}"
            self.git("update-ref", f"refs/heads/{branch}", new)
            body = {"title": message.partition("\n")[0], "source_branch": branch, "target_branch": "main"}
            return int(self._open(body)[1]["iid"])

    def numbers(self, prefix: str, state: str = "") -> list[int]:
        """The merge requests from branches that begin so. `state`: "open", or of any."""
        with self._lock:
            return [
                number
                for number, pull in self.pulls.items()
                if pull["source_branch"].startswith(prefix) and state in ("", pull["state"].removesuffix("ed"))
            ]

    @contextmanager
    def _checkout(self, name: str) -> Iterator[Path]:
        tree = self.root / name
        self.git("worktree", "add", "-q", "--detach", str(tree), "main")
        yield tree
        self.git("worktree", "remove", "-f", str(tree))

    def _commits(self, pull: dict[str, Any]) -> list[str]:
        return self.git("rev-list", "--reverse", "--no-merges", f"main..{pull['sha']}").splitlines()

    def _now(self) -> int:
        self._tick += 1
        return self._tick

    # what GitLab does by itself

    def look(self) -> None:
        """After a push: a moved head has no auto-merge any more, a branch that is gone closes its merge request."""
        with self._lock:
            for pull in self.pulls.values():
                self._look(pull)

    def _look(self, pull: dict[str, Any], ended: bool = False) -> None:
        if pull["state"] != "opened":
            return
        head = self.head(pull["source_branch"])
        if not head:
            pull.update(state="closed", auto=None)
        elif head != pull["sha"] and self.lag:
            self.lag -= 1
        elif head != pull["sha"]:
            pull.update(sha=head, auto=None)
            self._version(pull)
            if self.resets_approvals:
                self.given.pop(pull["iid"], None)
        elif pull["auto"] is not None:
            status = self._status(pull)
            if status == "need_rebase":
                pull["auto"] = None  # "the target branch was updated"
            elif status == "mergeable" and (ended or self.waits_for_checks):
                said = pull["auto"]
                self._merge(pull, said["squash"], said["squash_commit_message"], said["merge_commit_message"])

    def _version(self, pull: dict[str, Any]) -> None:
        base = self.git("merge-base", "main", pull["sha"])
        ran = self.git("diff-tree", "-p", base, pull["sha"])
        patch = self.git("patch-id", "--stable", given=f"{ran}\n").partition(" ")[0]
        stands = {"id": self._now(), "head_commit_sha": pull["sha"], "patch_id_sha": patch}
        self.versions.setdefault(pull["iid"], []).insert(0, {**stands, "created_at": _time(self._now())})

    def _conflicts(self, pull: dict[str, Any]) -> bool:
        command = ["git", "merge-tree", "--write-tree", "main", pull["sha"]]
        return subprocess.run(command, cwd=self.repo, capture_output=True, check=False).returncode == 1

    def _status(self, pull: dict[str, Any]) -> str:
        """`detailed_merge_status`."""
        if pull["state"] != "opened":
            return "not_open"
        if self._conflicts(pull):
            return "conflict"
        if self.settings["merge_method"] != "merge" and self.git("merge-base", "main", pull["sha"]) != self.head(
            "main"
        ):
            return "need_rebase"
        pipeline = self._pipeline(pull)
        if self.settings["only_allow_merge_if_pipeline_succeeds"] and pipeline != "success":
            return "ci_still_running" if pipeline == "running" else "ci_must_pass"
        records = pull["source_branch"].startswith("records/")
        if (self.records_need_review if records else self.needs_review) and not self.given.get(pull["iid"]):
            return "not_approved"
        return "mergeable"

    def _pipeline(self, pull: dict[str, Any]) -> str:
        ship = pull["source_branch"].startswith("ship/")
        return self.pipelines.get(pull["sha"], self.first if ship else "success")

    def _merge(self, pull: dict[str, Any], squash: bool, squash_message: str | None, message: str | None) -> str:
        main, head, commits = self.head("main"), pull["sha"], self._commits(pull)
        squashed = None
        if {"always": True, "never": False}.get(self.settings["squash_option"], squash):
            says = squash_message or self._templated(pull, self.settings["squash_commit_template"] or "%{title}")
            if len(commits) != 1 or self.git("log", "-1", "--format=%B", commits[0]).strip() != says.strip():
                fork = self.git("merge-base", "main", head)
                squashed = head = self._commit(self.git("rev-parse", f"{head}^{{tree}}"), says, fork)
        merged = None
        if self.settings["merge_method"] != "ff":
            tree = self.git("merge-tree", "--write-tree", "main", head)
            says = message or f"Merge branch '{pull['source_branch']}' into 'main'\n\n{pull['title']}\n\n"
            merged = self._commit(tree, says + f"See merge request {SLUG}!{pull['iid']}\n" * (not message), main, head)
        self.git("update-ref", "refs/heads/main", merged or head, main)
        pull.update(state="merged", auto=None, merge_commit_sha=merged, squash_commit_sha=squashed)
        if self.settings["remove_source_branch_after_merge"]:
            self.git("update-ref", "-d", f"refs/heads/{pull['source_branch']}")
        return merged or head

    def _templated(self, pull: dict[str, Any], template: str) -> str:
        whole = [self.git("log", "-1", "--format=%B", commit).strip() for commit in self._commits(pull)]
        first = next((text for text in whole if "\n" in text), pull["title"])
        made = {"title": pull["title"], "first_multiline_commit": first, "all_commits": "\n\n".join(whole)}
        return re.sub(r"%\{(\w+)\}", lambda found: made.get(found[1], ""), template)

    def _commit(self, tree: str, message: str, *parents: str) -> str:
        return self.git("commit-tree", tree, *(f"-p{parent}" for parent in parents), given=message)

    def _commit_of(self, pull: dict[str, Any]) -> str:
        return str(pull["merge_commit_sha"] or pull["squash_commit_sha"] or pull["sha"])

    # calls

    def served(self, method: str, path: str, query: dict[str, str], sent: bytes, authorization: str) -> Answer:
        """An answer as GitLab would give it; what its description has against it or the call is noted."""
        body = json.loads(sent or b"{}")
        code, document = self.answer(method, path, query, body, authorization)
        self.wrong += described.wrong(method, path.removeprefix(f"{self.path}/api/v4"), query, body, code, document)
        return code, json.dumps(document).encode(), {}

    def answer(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any], authorization: str
    ) -> tuple[int, Any]:
        with self._lock:
            self.calls.append((method, path.removeprefix(self.api)))
            if authorization != f"Bearer {self.token}":
                return 401, {"message": "401 Unauthorized"}
            self.look()
            if path == f"{self.path}/api/v4/user":
                return 200, {"id": 1, "username": self.me}
            if not path.startswith(self.api):
                return 404, {"message": "404 Project Not Found"}
            return self._rest(method, path.removeprefix(self.api), query, body)

    def _rest(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        if path == "":
            self.settings |= body
            return 200, self.settings
        if path == "/protected_branches":
            self.main_protection = {
                "name": body["name"],
                "push_access_levels": [{"id": 1, "access_level": body["push_access_level"]}],
                "merge_access_levels": [{"id": 2, "access_level": body["merge_access_level"]}],
                "allow_force_push": body["allow_force_push"],
                "code_owner_approval_required": body.get("code_owner_approval_required", False),
            }
            return 201, self.main_protection
        if path == "/protected_branches/main" and method == "PATCH" and self.main_protection:
            return self._protect(self.main_protection, body)
        if path == "/labels":
            if method == "POST":
                self.labels.append({"id": self._now(), **body})
                return 201, self.labels[-1]
            return 200, _page(self.labels, query)
        if path == "/protected_branches/main":
            return (200, self.main_protection) if self.main_protection else (404, {"message": "404 Not found"})
        if path == "/approvals" and self.premium:
            self.approvals |= body
            return (200 if method == "GET" else 201), self.approvals
        if path == "/merge_requests":
            return self._open(body) if method == "POST" else self._list(query)
        if found := re.fullmatch(r"/repository/commits/(\w+)/merge_requests", path):
            from_it = [pull for pull in self.pulls.values() if self._is_of(pull, found[1])]
            return 200, _page([self._shown(pull) for pull in from_it], query)
        if found := re.fullmatch(r"/merge_trains/merge_requests/(\d+)", path):
            return self._board(self.pulls[int(found[1])], body)
        found = re.fullmatch(r"/merge_requests/(\d+)(?:/(\w+))?(?:/(\d+))?", path)
        if found is None or int(found[1]) not in self.pulls:
            return 404, {"message": "404 Not found"}
        return self._of(self.pulls[int(found[1])], method, found[2] or "", found[3] or "", query, body)

    def _protect(self, rule: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        """A level with an id is changed, or goes; one without is one more."""
        levels = {each["id"]: each for each in rule["push_access_levels"]}
        for said in body.get("allowed_to_push", ()):
            number = said.get("id") or self._now()
            if said.get("_destroy"):
                del levels[number]
            else:
                levels[number] = {**levels.get(number, {"id": number}), "access_level": said["access_level"]}
        rule |= {key: value for key, value in body.items() if key != "allowed_to_push"}
        rule["push_access_levels"] = [*levels.values()]
        return 200, rule

    def _is_of(self, pull: dict[str, Any], commit: str) -> bool:
        return commit in (pull["merge_commit_sha"], pull["squash_commit_sha"], pull["sha"])

    def _of(
        self, pull: dict[str, Any], method: str, what: str, which: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any]:
        notes = self.comments.setdefault(pull["iid"], [])
        match (method, what):
            case ("GET", ""):
                shown = self._alone(pull)
                asked = {"rebase_in_progress": False} if query.get("include_rebase_in_progress") == "true" else {}
                return 200, {**shown, **asked}
            case ("PUT", ""):
                return self._update(pull, body)
            case ("PUT", "merge"):
                return self._accept(pull, body)
            case ("POST", "pipelines"):
                self.pipelines[pull["sha"]] = "running"
                return 201, {"id": self._now(), "sha": pull["sha"], "status": "created"}
            case ("PUT", "rebase"):
                self.rebase(pull["iid"])
                return 202, {"rebase_in_progress": True}
            case ("POST", "cancel_merge_when_pipeline_succeeds"):
                if not self.may_merge:
                    return 401, {"message": "401 Unauthorized"}
                if pull["auto"] is None:
                    return 201, {"message": "Can't cancel the automatic merge", "status": "error", "http_status": 406}
                pull["auto"] = None
                return 201, {"status": "success"}
            case ("GET", "approvals"):
                given = self.given.get(pull["iid"], {})
                return 200, {
                    "approved_by": [{"user": {"username": who}, "approved_at": _time(at)} for who, at in given.items()]
                }
            case ("GET", "versions"):
                return 200, _page(self.versions[pull["iid"]], query)
            case ("GET", "notes"):
                return 200, _page(notes, query)
            case ("POST", "notes"):
                self.say(pull["iid"], body["body"], self.me)
                return 201, notes[-1]
            case ("PUT", "notes"):
                (note,) = (each for each in notes if each["id"] == int(which))
                if note["author"]["username"] != self.me:
                    return 403, {"message": "403 Forbidden"}
                note["body"] = self._acted(pull, body["body"])
                return 200, note
        return 404, {"error": "404 Not Found"}

    def _acted(self, pull: dict[str, Any], text: str) -> str:
        """Quick actions: a line that begins with a slash is carried out and not shown."""
        if re.search(r"^\s*/close\b", text, re.MULTILINE):
            pull["state"] = "closed"
        return re.sub(r"^\s*/[a-z]\w*\b.*$", "", text, flags=re.MULTILINE).rstrip()

    def _list(self, query: dict[str, str]) -> tuple[int, Any]:
        chosen = [
            self._shown(pull)
            for pull in self.pulls.values()
            if query.get("state", pull["state"]) == pull["state"]
            and query.get("target_branch", pull["target_branch"]) == pull["target_branch"]
            and query.get("source_branch", pull["source_branch"]) == pull["source_branch"]
        ]
        return 200, _page(chosen[::-1], query)  # the newest first

    def _open(self, body: dict[str, Any]) -> tuple[int, Any]:
        branch, target = body["source_branch"], body["target_branch"]
        if not (head := self.head(branch)):
            return 400, {"message": {"source_branch": [f'"{branch}" does not exist']}}
        for pull in self.pulls.values():
            if (pull["source_branch"], pull["target_branch"], pull["state"]) == (branch, target, "opened"):
                says = f"Another open merge request already exists for this source branch: !{pull['iid']}"
                return 409, {"message": [says]}
        number = len(self.pulls) + 1
        pull = {"iid": number, "title": body["title"], "source_branch": branch, "target_branch": target, "sha": head}
        pull |= {"state": "opened", "squash": body.get("squash", False), "labels": [], "auto": None, "description": ""}
        pull |= {"merge_commit_sha": None, "squash_commit_sha": None, "merge_error": None, "by": None, "fork": False}
        self.pulls[number] = pull
        pull["description"] = self._acted(pull, body.get("description", ""))
        self._version(pull)
        return 201, self._alone(pull)

    def _update(self, pull: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        pull.update({name: body[name] for name in ("title", "description") if name in body})
        pull["description"] = self._acted(pull, pull["description"])
        pull["labels"] += [
            each for each in body.get("add_labels", "").split(",") if each and each not in pull["labels"]
        ]
        if body.get("state_event") == "close" and pull["state"] == "opened":
            pull.update(state="closed", auto=None)
        return 200, self._alone(pull)

    def _shown(self, pull: dict[str, Any]) -> dict[str, Any]:
        """A merge request as lists show it; alone, it says more."""
        same = (
            "iid", "title", "description", "state", "source_branch", "target_branch", "sha", "squash", "labels",
            "merge_commit_sha", "squash_commit_sha",
        )  # fmt: skip
        by = self.me if pull["auto"] is not None else None
        return {
            **{name: pull[name] for name in same},
            "web_url": f"{self.url}/{SLUG}/-/merge_requests/{pull['iid']}",
            "source_project_id": 8 if pull["fork"] else 7,
            "target_project_id": 7,
            "draft": False,
            "has_conflicts": False,
            "merge_user": {"username": pull["by"] or by} if by else None,
            "merge_when_pipeline_succeeds": pull["auto"] is not None,
            "detailed_merge_status": self._status(pull),
        }

    def _alone(self, pull: dict[str, Any]) -> dict[str, Any]:
        shown = {**self._shown(pull), "merge_error": pull["merge_error"]}
        if self.undecided and pull["state"] == "opened":
            self.undecided -= 1
            shown["detailed_merge_status"] = "checking"
        return shown

    def _accept(self, pull: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        self.bodies.append(body)
        status = self._status(pull)
        if not self.may_merge:
            return 401, {"message": "401 Unauthorized"}
        if pull["state"] != "opened":
            return 405, {"message": "405 Method Not Allowed"}
        waits = body.get("auto_merge") or body.get("merge_when_pipeline_succeeds")
        later = ("ci_still_running", "ci_must_pass", "not_approved") if self.waits_for_checks else ("ci_still_running",)
        if status != "mergeable" and not (waits and status in later):
            return (
                (422, {"message": "Branch cannot be merged"})
                if status == "conflict"
                else (
                    405,
                    {"message": "405 Method Not Allowed"},
                )
            )
        if body["sha"] != pull["sha"]:
            return 409, {"message": f"SHA does not match HEAD of source branch: {pull['sha']}"}
        if waits and status != "mergeable" and self._pipeline(pull) == "success":
            return 422, {"message": "Branch cannot be merged"}  # it merges at once what has a pipeline that passed
        said = {name: body.get(name) for name in ("squash_commit_message", "merge_commit_message")}
        if status == "mergeable":
            self._merge(pull, bool(body.get("squash")), said["squash_commit_message"], said["merge_commit_message"])
        else:
            pull.update(auto={"squash": bool(body.get("squash")), **said}, by=self.me)
        return 200, self._alone(pull)

    def _board(self, pull: dict[str, Any], body: dict[str, Any]) -> tuple[int, Any]:
        """The merge train: it takes the squash's message of the template, whatever a call says."""
        self.bodies.append(body)
        if body["sha"] != pull["sha"]:
            return 409, {"message": f"SHA does not match HEAD of source branch: {pull['sha']}"}
        if not self.may_merge:
            return 401, {"message": "401 Unauthorized"}
        nothing = {"squash_commit_message": None, "merge_commit_message": None}
        pull.update(auto={"squash": bool(body.get("squash")), **nothing}, by=self.me)
        self._look(pull)
        return 201, [{"id": 1, "status": "idle"}]


def _page(items: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    """One page of a list: 20 to a page, 100 at the most."""
    size = min(int(query.get("per_page", 20)), 100)
    start = (int(query.get("page", 1)) - 1) * size
    return items[start : start + size]


def _time(tick: int) -> str:
    return f"2026-01-01T{tick // 3600:02}:{tick // 60 % 60:02}:{tick % 60:02}.000Z"

"""A small GitHub on loopback: the calls that `pointsman.github` lists, on a real bare repository, and git over HTTP.

It merges, squashes, rebases and reverts for real. `rule` spoils calls one by one. Each call that it gets and each
answer that it gives unspoiled is held against GitHub's own descriptions; what these have against one is in `wrong`.

Where behaviour matters it follows docs.github.com: "Create a pull request" (422 for one that exists), "Merge a pull
request" (405 for one that may not be merged, 409 for a head that moved), "Rate limits for the REST API" (403 and 429),
"Rate limits and query limits for the GraphQL API" (200), "Automatically merging a pull request" (which keeps the
message that it got), "About merge methods on GitHub" (what each button makes of a message), "Reverting a pull request".
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forge_server import SPOILED, Answer, ForgeServer, Shown

from github import described

TOKEN = "ghs_0123456789secret"
API = "/api/v3/repos/o/r"
Told = tuple[int, Any]
# GitHub's words to who may not push to main ("About rulesets").
PROTECTED = """#!/bin/sh
while read old new ref; do
  if [ "$ref" = refs/heads/main ] && [ -e protected ]; then
    echo 'error: GH013: Repository rule violations found for refs/heads/main.' >&2
    echo '- Changes must be made through a pull request.' >&2
    exit 1
  fi
done
"""

BOT = "github-actions[bot]"
NO_USER = "Resource not accessible by integration"
# A spoiled answer: status, body and headers. The call does not take place.
LIMIT = "You have exceeded a secondary rate limit and have been temporarily blocked"
SPENT = "API rate limit exceeded for installation ID 7."
REFUSED: dict[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "limited": (403, {"message": LIMIT}, {"Retry-After": "7"}),
    "slowly": (429, {"message": LIMIT}, {"Retry-After": "7"}),
    "429": (429, {"message": "Too many requests"}, {}),
    "secondary": (403, {"message": LIMIT}, {}),
    "spent": (403, {"message": SPENT}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000007"}),
    "spent-for-ever": (403, {"message": SPENT}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "999999999999"}),
    "spent-since": (403, {"message": SPENT}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000000"}),
    "spent-silently": (403, {"message": "Forbidden"}, {"x-ratelimit-remaining": "0"}),
    "at-once": (429, {"message": LIMIT}, {"Retry-After": "0"}),
    "forbidden": (403, {"message": NO_USER}, {"x-ratelimit-remaining": "17"}),
    "graphql-spent": (
        200,
        {"errors": [{"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": SPENT}]},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000007"},
    ),
    "graphql-limited": (200, {"data": None, "errors": [{"message": LIMIT}]}, {"Retry-After": "7"}),
    "modified": (405, {"message": "Base branch was modified. Review and try the merge again."}, {}),
    "gone": (404, {"message": "Not Found"}, {}),
}


class Hub(ForgeServer):
    """The repository o/r. `pulls` by number; who approved, what was said, and every call, in order."""

    kind = "github"
    ways = ("squash", "merge", "rebase")
    api = API
    spoiled = {  # noqa: RUF012
        **SPOILED,
        **{name: (code, json.dumps(said).encode(), more) for name, (code, said, more) in REFUSED.items()},
    }

    def __init__(self, root: Path) -> None:
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.reviews: dict[int, list[dict[str, Any]]] = {}
        self.me: str | None = None  # the token's user; that of an App has none
        self.queries: list[dict[str, Any]] = []
        self.checks: dict[str, str] = {}  # a head → what the check `check` says of it; without: "success"
        self.check_required = True
        self.bypasses = False  # whether the token may merge against the rules
        self.keeps_approvals = False  # after a push
        self.lag = 0  # so many looks after a push show the head from before
        self.settings: dict[str, Any] = {
            "allow_squash_merge": True,
            "allow_merge_commit": False,
            "allow_rebase_merge": False,
            "squash_merge_commit_title": "PR_TITLE",
            "squash_merge_commit_message": "COMMIT_MESSAGES",
            "allow_auto_merge": True,
            "delete_branch_on_merge": True,
        }
        self.rules: list[dict[str, Any]] = []  # of the organisation
        self.keeps: set[str] = set()  # settings that no call changes, although it says 200
        self.rulesets: list[dict[str, Any]] = []
        self.actions: dict[str, dict[str, Any]] = {
            "workflow": {"default_workflow_permissions": "write", "can_approve_pull_request_reviews": False},
            "fork-pr-contributor-approval": {"approval_policy": "first_time_contributors"},
        }
        self.environment: dict[str, Any] | None = None
        self.branch_policies: list[dict[str, Any]] = []
        self.labels: list[dict[str, Any]] = []
        self.app: Callable[[str], bool] | None = None  # whether a JSON Web Token is that of the App
        self.minted = 0
        self._lock = threading.RLock()
        super().__init__(root, token=TOKEN)
        hook = self.repo / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(PROTECTED)
        hook.chmod(0o755)

    # what people see and do

    def branch(self, number: int) -> str:
        return str(self.pulls[number]["ref"])

    def address(self, number: int) -> str:
        return f"{self.url}/o/r/pull/{number}"

    def shown(self, number: int) -> Shown:
        pull = self.pulls[number]
        said = [each["body"] for each in self.comments.get(number, [])]
        return Shown(pull["title"], pull["body"], pull["labels"], said, pull["state"] == "open")

    def is_merged(self, number: int) -> bool:
        return bool(self.pulls[number]["merged"])

    def shut(self, number: int) -> None:
        self.pulls[number]["state"] = "closed"

    def keep_branches(self) -> None:
        self.settings["delete_branch_on_merge"] = False

    def lose_lines(self, number: int) -> None:
        self.settings["squash_merge_commit_message"] = "BLANK"

    def approve(self, number: int, who: str = "ann") -> None:
        with self._lock:
            self.reviews.setdefault(number, []).append({"state": "APPROVED", "user": {"login": who}})
            self._look(self.pulls[number])

    def say(self, number: int, text: str, who: str = "mallory") -> None:
        with self._lock:
            said = self.comments.setdefault(number, [])
            said.append({"id": number * 1000 + len(said), "body": text, "user": {"login": who}})

    def button(self, number: int, how: str = "squash") -> str:
        """The merge button, with the message that GitHub proposes: `squash`, `merge` or `rebase`."""
        with self._lock:
            pull = self.pulls[number]
            title = f"{pull['title']} (#{number})"
            match how:
                case "squash":
                    return self._squash(pull, title, self._proposed(pull))
                case "merge":
                    tree = self.git("merge-tree", "--write-tree", "main", pull["sha"])
                    says = f"Merge pull request #{number} from o/{pull['ref']}\n\n{pull['title']}\n"
                    return self._merged(pull, self._commit(tree, says, self.head("main"), pull["sha"]))
            with self._checkout(f"rebase-{number}") as place:
                self.git("cherry-pick", "--allow-empty", *self._commits(pull), where=place)
                onto = self.git("rev-parse", "HEAD", where=place)
            return self._merged(pull, onto)

    @contextmanager
    def _checkout(self, name: str) -> Iterator[Path]:
        tree = self.root / name
        self.git("worktree", "add", "-q", "--detach", str(tree), "main")
        yield tree
        self.git("worktree", "remove", "-f", str(tree))

    def _commits(self, pull: dict[str, Any]) -> list[str]:
        return self.git("rev-list", "--reverse", "--no-merges", f"main..{pull['sha']}").splitlines()

    def _proposed(self, pull: dict[str, Any]) -> str:
        """What the box under the squash button says, by the setting."""
        if self.settings["squash_merge_commit_message"] != "COMMIT_MESSAGES":
            return {"PR_BODY": str(pull["body"]), "BLANK": ""}[self.settings["squash_merge_commit_message"]]
        commits = self._commits(pull)
        if len(commits) == 1:
            return self.git("log", "-1", "--format=%b", commits[0])
        says = "\n\n".join("* " + self.git("log", "-1", "--format=%B", commit) for commit in commits)
        authors = dict.fromkeys(self.git("log", "-1", "--format=%an <%ae>", commit) for commit in commits)
        return f"{says}\n\n---------\n\n" + "\n".join(f"Co-authored-by: {who}" for who in authors)

    def revert(self, number: int) -> int:
        """The Revert button: a branch with the commit reverted, and its pull request."""
        with self._lock:
            pull = self.pulls[number]
            commit = pull["merge_commit_sha"]
            with self._checkout(f"revert-{number}") as tree:
                self.git("revert", "--no-commit", commit, where=tree)
                content = self.git("write-tree", where=tree)
            message = f'Revert "{pull["title"]} (#{number})"\n\nThis reverts commit {commit}.\n'
            new = self._commit(content, message, self.head("main"))
            branch = f"revert-{number}-{pull['ref']}"
            self.git("update-ref", f"refs/heads/{branch}", new)
            return int(self._open({"title": message.partition("\n")[0], "head": branch, "body": ""})[1]["number"])

    def numbers(self, prefix: str, state: str = "") -> list[int]:
        """The pull requests from branches that begin so."""
        with self._lock:
            return [
                number
                for number, pull in self.pulls.items()
                if pull["ref"].startswith(prefix) and state in ("", pull["state"])
            ]

    # what GitHub does by itself

    def look(self) -> None:
        """After a push: a moved head loses its approvals, a branch that is gone closes its pull request."""
        with self._lock:
            for pull in self.pulls.values():
                self._look(pull)

    def _look(self, pull: dict[str, Any]) -> None:
        if pull["state"] != "open":
            return
        head = self.head(pull["ref"])
        if not head:
            pull["state"] = "closed"
        elif head != pull["sha"] and self.lag:
            self.lag -= 1
            return
        elif head != pull["sha"]:
            pull["sha"] = head
            for review in self.reviews.get(pull["number"], []) if not self.keeps_approvals else ():
                review["state"] = "DISMISSED"
        if pull["state"] != "open":
            pull["auto_merge"] = None
        elif pull["auto_merge"] and self._status(pull) in ("clean", "unstable"):
            self._squash(pull, pull["auto_merge"]["commit_title"], pull["auto_merge"]["commit_message"])

    def _conflicts(self, pull: dict[str, Any]) -> bool:
        ran = subprocess.run(
            ["git", "merge-tree", "--write-tree", "main", pull["sha"]], cwd=self.repo, capture_output=True, check=False
        )
        return ran.returncode == 1

    def _status(self, pull: dict[str, Any]) -> str:
        """GraphQL's MergeStateStatus. `unstable`: only a check that is not required is missing."""
        if self._conflicts(pull):
            return "dirty"
        if self._missing(pull):
            return "blocked"
        return "clean" if self._check(pull) == "success" else "unstable"

    def _check(self, pull: dict[str, Any]) -> str:
        return self.checks.get(pull["sha"], "success")

    def _missing(self, pull: dict[str, Any]) -> str:
        """What the rules still ask for, in the words of the REST API."""
        needs = self.records_need_review if pull["ref"].startswith("records/") else self.needs_review
        reviews = self.reviews.get(pull["number"], [])
        if needs and not any(review["state"] == "APPROVED" for review in reviews):
            return "At least 1 approving review is required by reviewers with write access."
        if self.check_required and self._check(pull) != "success":
            return 'Required status check "check" is expected.'
        return ""

    def _squash(self, pull: dict[str, Any], title: str, body: str) -> str:
        tree = self.git("merge-tree", "--write-tree", self.head("main"), pull["sha"])
        return self._merged(pull, self._commit(tree, f"{title}\n\n{body}\n", self.head("main")))

    def _commit(self, tree: str, message: str, *parents: str) -> str:
        return self.git("commit-tree", tree, *(f"-p{parent}" for parent in parents), given=message)

    def _merged(self, pull: dict[str, Any], commit: str) -> str:
        assert pull["base"] == "main", "the stand-in merges into main alone"
        self.git("update-ref", "refs/heads/main", commit, self.head("main"))
        pull.update(state="closed", merged=True, merge_commit_sha=commit)
        if self.settings["delete_branch_on_merge"]:
            self.git("update-ref", "-d", f"refs/heads/{pull['ref']}")
        return commit

    # calls

    def served(self, method: str, path: str, query: dict[str, str], sent: bytes, authorization: str) -> Answer:
        """An answer as GitHub would give it, whole; what its description has against it or the call is noted."""
        bearer = authorization.removeprefix("Bearer ")
        code, document = self.answer(method, path, query, json.loads(sent or b"{}"), bearer)
        if not described.THERE or path == "/api/graphql":
            return code, json.dumps(document).encode(), {}
        data = json.dumps(described.whole(method, path, code, document)).encode()
        found = (
            described.wrong_request(method, path, query, sent),
            described.wrong_answer(method, path, query, sent, code, data),
        )
        self.wrong += [each for each in found if each]
        return code, data, {}

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any], bearer: str) -> Told:
        with self._lock:
            self.calls.append((method, path.removeprefix(API)))
            if self.app is not None and "installation" in path:
                return self._installation(path, bearer)
            if bearer != self.token:
                return 401, {"message": "Bad credentials"}
            self.look()
            if path == "/api/graphql":
                self.queries.append(body)
                return self._auto_merge(body["query"], body["variables"])
            if path == "/api/v3/user":
                return (403, {"message": NO_USER}) if self.me is None else (200, {"login": self.me})
            if not path.startswith(API):
                return 404, {"message": "Not Found"}
            return self._rest(method, path.removeprefix(API), query, body)

    def _installation(self, path: str, bearer: str) -> Told:
        assert self.app is not None
        if not self.app(bearer):
            return 401, {"message": "A JSON web token could not be decoded"}
        if path == f"{API}/installation":
            return 200, {"id": 7}
        self.minted += 1
        self.token = f"{TOKEN}{self.minted}"
        return 201, {"token": self.token, "expires_at": "2100-01-01T00:00:00Z"}

    def _rest(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Told:
        if path == "/rules/branches/main":
            active = [each["rules"] for each in self.rulesets if each["enforcement"] == "active"]
            return 200, _page([*self.rules, *(rule for rules in active for rule in rules)], query)
        fixed = {"": self.settings, "/branches/main": {"protected": False}}
        if path in fixed and method == "GET":
            return 200, fixed[path]
        if (told := self._administered(method, path, query, body)) is not None:
            return told
        if path == "/codeowners/errors":
            return 200, {"errors": []}
        if path == "/pulls":
            return self._open(body) if method == "POST" else self._list(query)
        if found := re.fullmatch(r"/commits/(\w+)/pulls", path):
            from_it = [pull for pull in self.pulls.values() if pull["merge_commit_sha"] == found[1]]
            return 200, _page([self._shown(pull) for pull in from_it], query)
        found = re.fullmatch(r"/(?:pulls|issues)/(\d+)(?:/(\w+))?", path)
        if found is not None and int(found[1]) in self.pulls:
            pull = self.pulls[int(found[1])]
            match found[2]:
                case None:
                    pull.update({key: value for key, value in body.items() if key in ("title", "body", "state")})
                    return 200, self._alone(pull)
                case "merge":
                    return self._merge(pull, body)
                case "reviews":
                    return 200, _page(self.reviews.get(pull["number"], []), query)
                case "labels":
                    pull["labels"] += [name for name in body["labels"] if name not in pull["labels"]]
                    return 200, [{"name": name} for name in pull["labels"]]
                case "comments" if method == "GET":
                    return 200, _page(self.comments.get(pull["number"], []), query)
                case "comments":
                    self.say(pull["number"], body["body"], BOT)
                    return 201, self.comments[pull["number"]][-1]
        comment = re.fullmatch(r"/issues/comments/(\d+)", path)
        for each in (each for said in self.comments.values() for each in said):
            if comment is not None and each["id"] == int(comment[1]):
                if each["user"]["login"] != BOT:
                    return 403, {"message": NO_USER}
                each["body"] = body["body"]
                return 200, each
        return 404, {"message": "Not Found"}

    def _administered(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Told | None:
        """What only an administrator may call; None for the other calls."""
        ruleset = re.fullmatch(r"/rulesets/(\d+)", path)
        match method, path:
            case "PATCH", "":
                self.settings |= {key: value for key, value in body.items() if key not in self.keeps}
                return 200, self.settings
            case "GET", "/rulesets":
                return 200, _page([{**each, "rules": []} for each in self.rulesets], query)
            case "POST", "/rulesets":
                self.rulesets.append({**body, "id": len(self.rulesets) + 1, "source": "o/r"})
                return 201, self.rulesets[-1]
            case "GET" | "PUT", _ if ruleset is not None:
                there = self.rulesets[int(ruleset[1]) - 1]
                there |= body
                return 200, there
            case "GET" | "PUT", _ if path.startswith("/actions/permissions/"):
                there = self.actions[path.rpartition("/")[2]]
                there |= body
                return (200, there) if method == "GET" else (204, None)
            case "GET", "/environments/pointsman":
                return (200, self.environment) if self.environment else (404, {"message": "Not Found"})
            case "PUT", "/environments/pointsman":
                self.environment = {"name": "pointsman", **body}
                return 200, self.environment
            case "GET", "/environments/pointsman/deployment-branch-policies":
                return 200, {"total_count": len(self.branch_policies), "branch_policies": self.branch_policies}
            case "POST", "/environments/pointsman/deployment-branch-policies":
                self.branch_policies.append({"name": body["name"]})
                return 200, self.branch_policies[-1]
            case "GET", "/labels":
                return 200, _page(self.labels, query)
            case "POST", "/labels":
                self.labels.append(body)
                return 201, body
        return None

    def _list(self, query: dict[str, str]) -> Told:
        chosen = [
            self._shown(pull)
            for pull in self.pulls.values()
            if pull["state"] == query["state"]
            and query.get("base", pull["base"]) == pull["base"]
            and query.get("head", f"o:{pull['ref']}") == f"o:{pull['ref']}"
        ]
        return 200, _page(chosen, query)

    def _open(self, body: dict[str, Any]) -> Told:
        branch, head = body["head"], self.head(body["head"])
        invalid: dict[str, Any] = {"resource": "PullRequest", "field": "head", "code": "invalid"}
        if not head:
            return 422, {"message": "Validation Failed", "errors": [invalid]}
        base = body.get("base", "main")
        if any((pull["ref"], pull["base"], pull["state"]) == (branch, base, "open") for pull in self.pulls.values()):
            there = {
                "resource": "PullRequest",
                "code": "custom",
                "message": f"A pull request already exists for o:{branch}.",
            }
            return 422, {"message": "Validation Failed", "errors": [there]}
        number = len(self.pulls) + 1
        fields = {"title": body["title"], "body": body["body"], "ref": branch, "sha": head, "labels": []}
        fields["base"] = base
        state = {"state": "open", "merged": False, "merge_commit_sha": None, "auto_merge": None}
        self.pulls[number] = {"number": number, **fields, **state}
        return 201, self._alone(self.pulls[number])

    def _shown(self, pull: dict[str, Any]) -> dict[str, Any]:
        """A pull request as lists show it; alone, it says whether it was merged, too."""
        same = ("number", "title", "body", "state", "merge_commit_sha", "auto_merge")
        return {
            **{name: pull[name] for name in same},
            "node_id": f"PR_{pull['number']}",
            "html_url": f"{self.url}/o/r/pull/{pull['number']}",
            "labels": [{"name": name} for name in pull["labels"]],
            "head": {"ref": pull["ref"], "sha": pull["sha"], "repo": {"full_name": "o/r"}},
            "base": {"ref": pull["base"], "sha": self.head(pull["base"])},
            "merged_at": "2026-01-01T00:00:00Z" if pull["merged"] else None,
        }

    def _alone(self, pull: dict[str, Any]) -> dict[str, Any]:
        return {**self._shown(pull), "merged": pull["merged"]}

    def _merge(self, pull: dict[str, Any], body: dict[str, Any]) -> Told:
        method = body.get("merge_method", "merge")
        if body["sha"] != pull["sha"]:
            return 409, {"message": "Head branch was modified. Review and try the merge again."}
        if pull["state"] != "open" or self._conflicts(pull):
            return 405, {"message": "Pull Request is not mergeable"}
        if not self.settings[{"merge": "allow_merge_commit"}.get(method, f"allow_{method}_merge")]:
            kind = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}[method]
            return 405, {"message": f"{kind} are not allowed on this repository."}
        if (missing := self._missing(pull)) and not self.bypasses:
            return 405, {"message": missing}
        assert method == "squash", "the stand-in merges so by the button alone"
        commit = self._squash(pull, body["commit_title"], body["commit_message"])
        return 200, {"sha": commit, "merged": True, "message": "Pull Request successfully merged"}

    def _auto_merge(self, query: str, said: dict[str, Any]) -> Told:
        name = "disablePullRequestAutoMerge" if "disable" in query else "enablePullRequestAutoMerge"
        pull = self.pulls[int(said["pull"].removeprefix("PR_"))]
        if wrong := self._against(name, pull, said):
            error = {"type": "UNPROCESSABLE", "path": [name], "message": wrong}
            return 200, {"data": {name: None}, "errors": [error]}
        if name.startswith("disable"):
            pull["auto_merge"] = None
        else:
            told = {"commit_title": said["title"], "commit_message": said["body"]}
            pull["auto_merge"] = {"merge_method": "squash", **told}
        return 200, {"data": {name: {"clientMutationId": None}}}

    def _against(self, name: str, pull: dict[str, Any], said: dict[str, Any]) -> str:
        """What GitHub has against a mutation. It takes no second message for an auto-merge that is on."""
        if name.startswith("disable"):
            return "" if pull["auto_merge"] else "Auto merge is not enabled for this pull request"
        if not self.settings["allow_auto_merge"]:
            return "Pull request Auto merge is not allowed for this repository"
        if not self.settings["allow_squash_merge"]:
            return "Merge method squash merging is not allowed on this repository"
        if pull["state"] != "open":
            return "Pull request is closed"
        if said["head"] != pull["sha"]:
            return f"Expected head oid {said['head']} does not match {pull['sha']}"
        status = self._status(pull)
        if status in ("clean", "unstable", "dirty"):
            return f"Pull request Pull request is in {status} status"
        return "Pull request Auto merge is already enabled" if pull["auto_merge"] else ""


def _page(items: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
    """One page of a list: 30 to a page, 100 at the most."""
    size = min(int(query.get("per_page", 30)), 100)
    start = (int(query.get("page", 1)) - 1) * size
    return items[start : start + size]

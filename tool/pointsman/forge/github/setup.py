"""The settings of a repository on GitHub that `doctor` checks: merges, rules for main, owners."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pointsman.errors import one_line
from pointsman.forge.github.client import Client
from pointsman.forge.http import Denied
from pointsman.forge.setting import each_part


def protection(client: Client, root: str) -> list[tuple[str, str]]:
    """Each setting, and what is wrong with it; "" if nothing is. `root`: the repository's path in the API."""
    parts = {"merges": _merge_settings, "ruleset": _rules, "CODEOWNERS": _owners}
    return [*each_part({name: partial(part, client, root) for name, part in parts.items()})]


def _merge_settings(client: Client, root: str) -> Iterator[tuple[str, str]]:
    settings = client.get(root)
    if "allow_squash_merge" not in settings:
        yield (
            "merges",
            "this token cannot see the settings of merges: run doctor with one that may administer the repository",
        )
        return
    others = [name for name in ("merge_commit", "rebase_merge") if settings.get(f"allow_{name}")]
    wrong = "" if settings["allow_squash_merge"] else "squash merges are off: Settings → General → Allow squash merging"
    if not wrong and others:
        names = " and ".join(name.replace("_", " ") for name in others)
        wrong = f"squash is not the only way to merge ({names}): Settings → General, allow only squash merging"
    yield "squash merges", wrong
    message = settings.get("squash_merge_commit_message")
    says = "its lines vouch for manifests: Settings → General → Default commit message, "
    yield (
        "squash message",
        ""
        if message == "COMMIT_MESSAGES"
        else f"squash merges lose the commit's message ({message}); {says}Pull request title and commit details",
    )
    off = "auto-merge is off, so records wait for a person: Settings → General → Allow auto-merge"
    yield "auto-merge", "" if settings.get("allow_auto_merge") else off
    kept = "branches of merged pull requests are not deleted: Settings → General → Automatically delete head branches"
    yield "merged branches", "" if settings.get("delete_branch_on_merge") else kept


def _rules(client: Client, root: str) -> Iterator[tuple[str, str]]:
    rules = {rule["type"]: rule.get("parameters") or {} for rule in client.pages(f"{root}/rules/branches/main")}
    if "pull_request" not in rules:
        classic = client.get(f"{root}/branches/main").get("protected")
        says = "main accepts pushes without a pull request: import .github/ruleset.json (Settings → Rules → Rulesets)"
        yield "ruleset", says if not classic else ""
        return
    reviews = rules["pull_request"]
    required = reviews.get("required_approving_review_count", 0) >= 1 and reviews.get("require_code_owner_review")
    yield (
        "ruleset",
        "" if required else "no code owner has to approve: require one approval and review from Code Owners",
    )
    dismissed = reviews.get("dismiss_stale_reviews_on_push") or reviews.get("require_last_push_approval")
    yield "later pushes", "" if dismissed else "an approval stays valid after later pushes: dismiss stale approvals"
    checks = rules.get("required_status_checks", {}).get("required_status_checks", [])
    named = any(check.get("context") == "check" for check in checks)
    yield "gate", "" if named else "the check named check is not required: add it to the ruleset's status checks"
    missing = [kind for kind in ("non_fast_forward", "deletion") if kind not in rules]
    says = "main may be rewritten or deleted: block force pushes and deletions in the ruleset"
    yield "history", says if missing else ""


def _owners(client: Client, root: str) -> Iterator[tuple[str, str]]:
    try:
        errors = client.get(f"{root}/codeowners/errors", ref="main")["errors"]
    except Denied as error:
        if error.status != 404:
            raise
        yield "CODEOWNERS", "main has no CODEOWNERS, so nobody must approve what is served: add .github/CODEOWNERS"
        return
    first = f"line {errors[0]['line']}: {one_line(str(errors[0]['kind']))}" if errors else ""
    yield "CODEOWNERS", f"{len(errors)} errors, {first}: fix them, GitHub ignores such lines" if errors else ""

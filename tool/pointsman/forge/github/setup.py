"""How a repository on GitHub is set up, as `doctor` looks at it: merges, rules for main, owners."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.errors import one_line
from pointsman.forge.github.client import Client, Denied


def protection(client: Client, root: str) -> list[tuple[str, str]]:
    """Each thing that should be set up, and what is wrong with it, "" if nothing is. `root`: the repository's path."""
    return [*_merge_settings(client, root), *_rules(client, root), *_owners(client, root)]


def _merge_settings(client: Client, root: str) -> Iterator[tuple[str, str]]:
    there = client.get(root)
    if "allow_squash_merge" not in there:
        yield "merges", "this token may not see how merges are set up: run doctor with one that may administer it"
        return
    others = [name for name in ("merge_commit", "rebase_merge") if there.get(f"allow_{name}")]
    wrong = "" if there["allow_squash_merge"] else "squash merges are off: Settings → General → Allow squash merging"
    if not wrong and others:
        names = " and ".join(name.replace("_", " ") for name in others)
        wrong = f"{names} is allowed beside squash: Settings → General, leave squash merging alone"
    yield "squash merges", wrong
    message = there.get("squash_merge_commit_message")
    says = "its lines are what vouches for a manifest: Settings → General → Default commit message, "
    yield (
        "squash message",
        ""
        if message == "COMMIT_MESSAGES"
        else f"squash merges lose the commit's message ({message}); {says}Pull request title and commit details",
    )
    off = "auto-merge is off, so records wait for someone: Settings → General → Allow auto-merge"
    yield "auto-merge", "" if there.get("allow_auto_merge") else off
    stay = "branches of merged pull requests stay: Settings → General → Automatically delete head branches"
    yield "merged branches", "" if there.get("delete_branch_on_merge") else stay


def _rules(client: Client, root: str) -> Iterator[tuple[str, str]]:
    rules = {rule["type"]: rule.get("parameters") or {} for rule in client.pages(f"{root}/rules/branches/main")}
    if "pull_request" not in rules:
        classic = client.get(f"{root}/branches/main").get("protected")
        says = "main takes pushes without a pull request: import .github/ruleset.json (Settings → Rules → Rulesets)"
        yield "ruleset", says if not classic else ""
        return
    reviews = rules["pull_request"]
    asks = reviews.get("required_approving_review_count", 0) >= 1 and reviews.get("require_code_owner_review")
    yield (
        "ruleset",
        "" if asks else "no code owner has to approve: require one approval and review from Code Owners",
    )
    pushed = reviews.get("dismiss_stale_reviews_on_push") or reviews.get("require_last_push_approval")
    yield "later pushes", "" if pushed else "an approval outlives what is pushed after it: dismiss stale approvals"
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
        yield "CODEOWNERS", "main has no CODEOWNERS: nobody has to approve what serving shows"
        return
    first = f"line {errors[0]['line']}: {one_line(str(errors[0]['kind']))}" if errors else ""
    yield "CODEOWNERS", f"{len(errors)} errors, {first}: GitHub leaves such lines out" if errors else ""

"""What GitLab says of the calls that the adapter makes, written out by hand, to hold the stand-in against it.

Sources: GitLab's official OpenAPI description (doc/api/openapi/openapi_v3.yaml of gitlab-org/gitlab, 19.5: the schema
of a merge request) and docs.gitlab.com/api. No package of a registry has the description, and its 4 MB under another
licence are not copied here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Type = type | tuple[type, ...]
_NONE = type(None)
_TEXT: Type = (str, _NONE)
_USER: Type = (dict, _NONE)

# APIEntitiesMergeRequestBasic, the members that the stand-in gives.
MERGE_REQUEST: Mapping[str, Type] = {
    "iid": int,
    "title": str,
    "description": _TEXT,
    "state": str,
    "target_branch": str,
    "source_branch": str,
    "source_project_id": int,
    "target_project_id": int,
    "labels": list,
    "draft": bool,
    "merge_user": _USER,
    "merge_when_pipeline_succeeds": bool,
    "detailed_merge_status": str,
    "sha": str,
    "merge_commit_sha": _TEXT,
    "squash_commit_sha": _TEXT,
    "squash": bool,
    "has_conflicts": bool,
    "web_url": str,
}
_ONE = {**MERGE_REQUEST, "merge_error": _TEXT}
STATES = {"opened", "closed", "locked", "merged"}
STATUSES = {
    "approvals_syncing", "checking", "ci_must_pass", "ci_still_running", "conflict", "discussions_not_resolved",
    "draft_status", "mergeable", "need_rebase", "not_approved", "not_open", "preparing", "requested_changes",
    "unchecked",
}  # fmt: skip
_NOTE: Mapping[str, Type] = {"id": int, "body": str, "system": bool, "author": dict}
_PROJECT: Mapping[str, Type] = {
    "id": int,
    "path_with_namespace": str,
    "merge_method": str,
    "squash_option": str,
    "squash_commit_template": _TEXT,
    "only_allow_merge_if_pipeline_succeeds": bool,
    "allow_merge_on_skipped_pipeline": (bool, _NONE),
    "remove_source_branch_after_merge": (bool, _NONE),
}
_VERSION: Mapping[str, Type] = {"id": int, "head_commit_sha": str, "created_at": str, "patch_id_sha": _TEXT}
_APPROVALS: Mapping[str, Type] = {"reset_approvals_on_push": bool, "merge_requests_author_approval": bool}
_LABEL: Mapping[str, Type] = {"id": int, "name": str, "color": str}
_PAGE = {"page", "per_page"}
_MERGE = {
    "auto_merge", "merge_commit_message", "merge_when_pipeline_succeeds", "sha", "should_remove_source_branch",
    "squash", "squash_commit_message",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """What a call may say, in its query or body, and what each of its answers has. `many`: its answer is a list."""

    may: set[str] = field(default_factory=set)
    must: set[str] = field(default_factory=set)
    codes: tuple[int, ...] = (200,)
    shows: Mapping[str, Type] = field(default_factory=dict)
    many: bool = False
    refusals: tuple[int, ...] = (400, 401, 403, 404)


_P = "/projects/{id}"
_M = f"{_P}/merge_requests"
_N = f"{_M}/{{merge_request_iid}}"
_LISTED = {"state", "target_branch", "source_branch", "scope", *_PAGE}
_WRITTEN = {"title", "description", "labels", "add_labels", "squash", "remove_source_branch"}
_CREATE = {"source_branch", "target_branch", "title"}
_NOT_NOW = (401, 403, 404, 405, 406, 409, 422)
CALLS: Mapping[tuple[str, str], Call] = {
    ("GET", "/user"): Call(shows={"id": int, "username": str}),
    ("GET", _P): Call({"license", "statistics"}, shows=_PROJECT),
    ("GET", f"{_P}/protected_branches/{{name}}"): Call(
        shows={"name": str, "push_access_levels": list, "merge_access_levels": list, "allow_force_push": bool}
    ),
    ("GET", f"{_P}/approvals"): Call(shows=_APPROVALS),
    # "Edit a project", "Protect repository branches", "Update a protected branch" (a level with an id is changed, one
    # with _destroy goes), "Change configuration" of approvals, "Create a new label".
    ("PUT", _P): Call(
        {
            "merge_method",
            "squash_option",
            "squash_commit_template",
            "only_allow_merge_if_pipeline_succeeds",
            "allow_merge_on_skipped_pipeline",
            "remove_source_branch_after_merge",
        },
        shows=_PROJECT,
    ),
    ("POST", f"{_P}/protected_branches"): Call(
        {"name", "push_access_level", "merge_access_level", "allow_force_push", "code_owner_approval_required"},
        {"name"},
        (201,),
        {"name": str, "push_access_levels": list, "merge_access_levels": list, "allow_force_push": bool},
        refusals=(400, 401, 403, 404, 409, 422),
    ),
    ("PATCH", f"{_P}/protected_branches/{{name}}"): Call(
        {"allow_force_push", "allowed_to_push", "code_owner_approval_required"},
        shows={"name": str, "push_access_levels": list, "merge_access_levels": list, "allow_force_push": bool},
        refusals=(400, 401, 403, 404, 422),
    ),
    ("POST", f"{_P}/approvals"): Call({*_APPROVALS}, codes=(201,), shows=_APPROVALS),
    ("GET", f"{_P}/labels"): Call(_PAGE, shows=_LABEL, many=True),
    ("POST", f"{_P}/labels"): Call(
        {"name", "color", "description"}, {"name", "color"}, (201,), _LABEL, refusals=(400, 401, 403, 404, 409)
    ),
    ("GET", _M): Call(_LISTED, shows=MERGE_REQUEST, many=True),
    ("POST", _M): Call({*_CREATE, *_WRITTEN}, _CREATE, (201,), _ONE, refusals=(400, 401, 403, 404, 405, 409, 422)),
    ("GET", _N): Call({"include_rebase_in_progress"}, shows=_ONE),
    ("PUT", _N): Call({*_WRITTEN, "state_event"}, shows=_ONE, refusals=(400, 401, 403, 404, 405, 409, 422)),
    ("PUT", f"{_N}/merge"): Call(_MERGE, shows=_ONE, refusals=_NOT_NOW),
    # Its description promises a merge request; its source (lib/api/merge_requests.rb) answers what became of it.
    ("POST", f"{_N}/cancel_merge_when_pipeline_succeeds"): Call(
        codes=(201,), shows={"status": str}, refusals=(401, 403, 404)
    ),
    ("PUT", f"{_N}/rebase"): Call(
        {"skip_ci"}, codes=(202,), shows={"rebase_in_progress": bool}, refusals=(401, 403, 404, 409)
    ),
    ("POST", f"{_P}/merge_trains/merge_requests/{{merge_request_iid}}"): Call(
        {"auto_merge", "when_pipeline_succeeds", "sha", "squash"},
        codes=(201, 202),
        many=True,
        refusals=(400, 401, 403, 404, 409),
    ),
    ("POST", f"{_N}/pipelines"): Call(codes=(201,), shows={"id": int, "sha": str, "status": str}),
    ("GET", f"{_N}/approvals"): Call(shows={"approved_by": list}),
    ("GET", f"{_N}/versions"): Call(_PAGE, shows=_VERSION, many=True),
    ("GET", f"{_N}/notes"): Call({"sort", "order_by", *_PAGE}, shows=_NOTE, many=True),
    ("POST", f"{_N}/notes"): Call({"body"}, {"body"}, (201,), _NOTE),
    ("PUT", f"{_N}/notes/{{note_id}}"): Call({"body"}, {"body"}, shows=_NOTE),
    ("GET", f"{_P}/repository/commits/{{sha}}/merge_requests"): Call({"state", *_PAGE}, shows=MERGE_REQUEST, many=True),
}


def wrong(method: str, path: str, query: Mapping[str, str], sent: Any, code: int, answer: Any) -> list[str]:
    """What the description has against a call and its answer."""
    what = f"{method} {path}"
    call = next((call for (verb, form), call in CALLS.items() if verb == method and _matches(form, path)), None)
    if call is None:
        return [f"{what}: not among the calls of the adapter"]
    said = {*query, *(sent or {})}
    found = [f"{what}: says {name}" for name in sorted(said - call.may)]
    found += [f"{what}: without {name}" for name in sorted(call.must - said)]
    if code >= 300:
        known = code in call.refusals and isinstance(answer, dict) and {"message", "error"} & {*answer}
        return found + ([] if known else [f"{what} answered {code}: {json.dumps(answer)}"])
    if code not in call.codes or isinstance(answer, list) != call.many:
        return [*found, f"{what} answered {code}: {json.dumps(answer)[:200]}"]
    for each in answer if call.many else [answer]:
        found += _odd(what, each, call.shows)
    return found


def _matches(form: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", form), path) is not None


def _odd(what: str, document: Mapping[str, Any], shows: Mapping[str, Type]) -> list[str]:
    found = [
        f"{what} shows {name} as {document.get(name)!r}"
        for name, kind in shows.items()
        if name not in document or not isinstance(document[name], kind)
    ]
    if "detailed_merge_status" in shows and document.get("detailed_merge_status") not in STATUSES:
        found.append(f"{what}: {document.get('detailed_merge_status')!r} is no merge status")
    if "detailed_merge_status" in shows and document.get("state") not in STATES:
        found.append(f"{what}: {document.get('state')!r} is no state")
    return found

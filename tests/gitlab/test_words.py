"""What GitLab is told: of a merge, and on the page of a merge request."""

from __future__ import annotations

import pytest

from gitlab import described
from gitlab.hub import Hub
from pointsman.forge.base import Opened, Page
from pointsman.forge.gitlab.pulls import GitLab

Forge = tuple[GitLab, Opened]


def test_it_says_squash_its_message_and_the_head_that_was_judged(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    hub.needs_review = False
    hub.settings |= {"squash_option": "default_off", "squash_commit_template": "%{title}"}
    assert adapter.merge(opened, adapter.repo.main, "title\n\nlines\n", "") == hub.head("main")
    assert hub.git("log", "-1", "--format=%B", "main") == "title (!1)\n\nlines"
    (said,) = hub.bodies
    assert (said["squash"], said["sha"], said["should_remove_source_branch"]) == (True, opened.head, True)
    assert hub.pulls[1]["squash"], "it is said when it is opened, too: nothing is inherited"


@pytest.mark.slow
def test_no_line_of_a_text_becomes_a_quick_action(forge: Forge, hub: Hub) -> None:
    adapter, opened = forge
    text = "/close\nwords\n  /merge\nhttp://x/y a/b"
    adapter.comment(opened, "review", text)
    adapter.update(opened, Page("t", lambda: text))
    assert hub.pulls[1]["state"] == "opened"
    assert "\\/close\nwords\n  \\/merge" in hub.comments[1][0]["body"]
    assert hub.pulls[1]["description"] == "\\/close\nwords\n  \\/merge\nhttp://x/y a/b"


def test_what_gitlab_answers_is_held_against_its_description(hub: Hub) -> None:
    assert described.wrong("GET", "/projects/x/merge_requests", {"states": "opened"}, {}, 200, []) != []
    assert described.wrong("PUT", "/projects/x/merge_requests/1/merge", {}, {"head": "1"}, 405, {"message": "no"}) != []
    assert described.wrong("PUT", "/projects/x/merge_requests/1", {}, {"title": "t"}, 200, {"iid": "1"}) != []
    assert described.wrong("DELETE", "/projects/x", {}, {}, 200, {}) != []
    assert hub.wrong == []

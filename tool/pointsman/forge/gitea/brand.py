"""What differs between Gitea and Forgejo: names, the variables of the environment, and who is past the rules."""

from __future__ import annotations

from msgspec import Struct


class Brand(Struct, frozen=True):
    """One of the two.

    `binds_admins`: the member of a branch protection that holds administrators to it. `folder`: that of its workflows.
    """

    name: str
    tokens: tuple[str, ...]  # the first one that is set is used
    address: str  # the variable with the address of the server
    binds_admins: str
    folder: str


GITEA = Brand("Gitea", ("GITEA_TOKEN",), "GITEA_SERVER_URL", "block_admin_merge_override", ".gitea")
FORGEJO = Brand("Forgejo", ("FORGEJO_TOKEN",), "FORGEJO_SERVER_URL", "apply_to_admins", ".forgejo")

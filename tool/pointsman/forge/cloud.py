"""The login to a cloud by OIDC, in the jobs of workflows that reach the store: `init --cloud`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from pointsman.errors import Problem
from pointsman.patterns import pattern

# Which identity the job of each workflow of ours logs in with. One that is not here does not reach the store.
_IDENTITIES = {
    **dict.fromkeys(("audit", "check", "drift", "refresh", "revert", "site"), "READER"),
    **dict.fromkeys(("gc", "publish", "rollback", "rollout", "ship", "ship-version"), "WRITER"),
}
_WORKFLOW = pattern(r"\.github/workflows/([a-z-]+)\.yml")
_INSTALL = "        run: bash .github/install.sh\n"
_PERMISSION = "      id-token: write # the cloud asks who this is\n"
# A change from a fork gets no ID token: it is judged without the store, so that no ship of a fork passes.
_NO_FORK = (
    "        if: github.event_name == 'merge_group' || "
    "github.event.pull_request.head.repo.full_name == github.repository\n"
)


class Cloud(Struct, frozen=True):
    """One cloud.

    `store`: how the URL of a store there begins. `uses` and `given`: the action that logs in on GitHub, and what it is
    given. `env`: what each step of the tool needs besides. `{identity}` stands for READER or WRITER. `variables`: on
    GitHub, each with what it says, and `on_gitlab` there (none: it cannot).
    """

    store: str
    uses: str
    given: Sequence[str]
    env: Sequence[str]
    variables: Sequence[tuple[str, str]]
    on_gitlab: Sequence[str]


CLOUDS: Mapping[str, Cloud] = {
    "aws": Cloud(
        store="s3://",
        uses="aws-actions/configure-aws-credentials@e6de054238d6b7531b4efff3b6587d9aade6a06c # v6.2.3",
        given=(
            "aws-region: ${{ vars.POINTSMAN_AWS_REGION }}",
            "role-to-assume: ${{ vars.POINTSMAN_AWS_{identity} }}",
        ),
        env=(),
        variables=(
            ("POINTSMAN_AWS_REGION", "region of the bucket"),
            ("POINTSMAN_AWS_READER", "ARN of a role that reads"),
            ("POINTSMAN_AWS_WRITER", "ARN of a role that also writes"),
        ),
        on_gitlab=(
            "POINTSMAN_AUDIENCE: sts.amazonaws.com; AWS_WEB_IDENTITY_TOKEN_FILE: /tmp/pointsman-token",
            "AWS_REGION; AWS_ROLE_ARN: a role that reads; POINTSMAN_WRITER, protected: one that writes",
        ),
    ),
    "azure": Cloud(
        store="az://",
        uses="azure/login@f5d393ae46f8fde4be8b75f32e3fc50e654ad0ca # v3.0.1",
        given=(
            "client-id: ${{ vars.POINTSMAN_AZURE_{identity} }}",
            "tenant-id: ${{ vars.POINTSMAN_AZURE_TENANT }}",
            "allow-no-subscriptions: true",
        ),
        env=(
            'AZURE_USE_AZURE_CLI: "true"',
            "AZURE_STORAGE_ACCOUNT_NAME: ${{ vars.POINTSMAN_AZURE_ACCOUNT }}",
        ),
        variables=(
            ("POINTSMAN_AZURE_TENANT", "id of the tenant"),
            ("POINTSMAN_AZURE_ACCOUNT", "name of the storage account"),
            ("POINTSMAN_AZURE_READER", "client id of an identity that reads"),
            ("POINTSMAN_AZURE_WRITER", "client id of one that also writes"),
        ),
        on_gitlab=(
            "POINTSMAN_AUDIENCE: api://AzureADTokenExchange; AZURE_FEDERATED_TOKEN_FILE: /tmp/pointsman-token",
            "AZURE_TENANT_ID, AZURE_STORAGE_ACCOUNT_NAME; AZURE_CLIENT_ID: an identity that reads",
            "POINTSMAN_WRITER, protected: the client id of one that writes",
        ),
    ),
    "gcp": Cloud(
        store="gs://",
        uses="google-github-actions/auth@7c6bc770dae815cd3e89ee6cdf493a5fab2cc093 # v3.0.0",
        given=(
            "workload_identity_provider: ${{ vars.POINTSMAN_GCP_PROVIDER }}",
            "service_account: ${{ vars.POINTSMAN_GCP_{identity} }}",
            "token_format: access_token",
            "access_token_scopes: https://www.googleapis.com/auth/devstorage.read_write",
            "create_credentials_file: false",
        ),
        env=("GOOGLE_BEARER_TOKEN: ${{ steps.cloud.outputs.access_token }}",),
        variables=(
            ("POINTSMAN_GCP_PROVIDER", "full name of the identity provider"),
            ("POINTSMAN_GCP_READER", "address of a service account that reads"),
            ("POINTSMAN_GCP_WRITER", "address of one that also writes"),
        ),
        on_gitlab=(),
    ),
}


def check_cloud(cloud: str, forge: str, store: str | None) -> None:
    """Problem if this version has no login to a cloud for a kind of forge, or the store is not there."""
    if cloud not in CLOUDS:
        raise Problem(f"--cloud {cloud}: there are {', '.join(CLOUDS)}")
    if forge in ("gitea", "forgejo"):
        name = forge.capitalize()
        raise Problem(f"--cloud {cloud}: {name} gives its jobs no OIDC token: leave it out, and give the runner a role")
    if forge == "gitlab" and not CLOUDS[cloud].on_gitlab:
        raise Problem(f"--cloud {cloud} has no form for GitLab: leave it out, and give the runner a service account")
    if forge not in ("github", "gitlab"):
        raise Problem(f"--cloud {cloud} needs a forge that says who a job is: add --forge github or --forge gitlab")
    if store is None or not store.startswith(CLOUDS[cloud].store):
        raise Problem(f"--cloud {cloud} logs in to a bucket there: add --store {CLOUDS[cloud].store}BUCKET/PREFIX")


def steps_of(cloud: str, forge: str) -> list[str]:
    """What is left to do for it, as lines of what `init` tells."""
    entry = CLOUDS[cloud]
    if forge == "gitlab":
        return [f"for {cloud}, in Settings > CI/CD > Variables:", *(f"  {each}" for each in entry.on_gitlab), _READ]
    said = (f"  gh variable set {name} --repo OWNER/REPO --body '{says}'" for name, says in entry.variables)
    return [f"for {cloud}, with yours in place of what stands in quotes:", *said, _READ]


_READ = "  whom the cloud must trust, and with which rights: docs/cloud.md"


def with_login(path: str, data: bytes, cloud: str | None) -> bytes:
    """A generated file with the login in it, if it is a workflow for GitHub whose job reaches the store."""
    found = _WORKFLOW.fullmatch(path)
    identity = _IDENTITIES.get(found[1]) if found is not None else None
    if cloud is None or found is None or identity is None:
        return data
    entry = CLOUDS[cloud]
    head, install, tail = data.decode().partition(_INSTALL)
    login = [
        "      - name: Log in to the cloud\n",
        "        id: cloud\n",
        _NO_FORK if found[1] == "check" else "",
        f"        uses: {entry.uses}\n",
        "        with:\n",
        *(f"          {line}\n" for line in entry.given),
    ]
    env = "".join(f"          {line}\n" for line in entry.env)
    tail = tail.replace("        env:\n", f"        env:\n{env}")
    if "      id-token: write" not in head:
        head = re.sub(r"(    permissions:\n(?:      .*\n)+)", rf"\g<1>{_PERMISSION}", head, count=1)
    return (head + install + "".join(login).replace("{identity}", identity) + tail).encode()


def cloud_in(workflow: bytes) -> str | None:
    """The cloud that a generated workflow logs in to."""
    return next((name for name, entry in CLOUDS.items() if entry.uses.partition("@")[0].encode() in workflow), None)

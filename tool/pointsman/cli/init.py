"""`pointsman init`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from pointsman.cli.arguments import SETTING, TEXT
from pointsman.cli.console import Answer, example, json_option

if TYPE_CHECKING:
    from pointsman.verbs.init import Made


@click.command(epilog=example("pointsman init /srv/recsys --set policy.items_drop=0.4"))
@click.argument("directory", metavar="DIR", type=click.Path())
@click.option("--store", metavar="URL", type=TEXT, help="Where blobs are stored; default: file://DIR/.pointsman/store.")
@click.option(
    "--serving", metavar="TEMPLATE", type=TEXT, help="Where serving reads pointers, with {tenant} and {surface}."
)
@click.option(
    "--forge",
    metavar="KIND",
    type=TEXT,
    default="local",
    show_default=True,
    help="Where pull requests are: local, github, gitlab, gitea or forgejo.",
)
@click.option(
    "--set",
    "sets",
    metavar="KEY=VALUE",
    type=SETTING,
    multiple=True,
    help="Any other setting, such as policy.items_drop=0.4.",
)
@click.option(
    "--with",
    "extras",
    metavar="WHAT",
    type=TEXT,
    multiple=True,
    help="Also write what runs or watches it: container, kubernetes, systemd, monitoring, rollout or site.",
)
@click.option(
    "--ring",
    "rings",
    metavar="NAME[:AFTER]",
    type=TEXT,
    multiple=True,
    help="A ring, such as canary, then prod:2h; the last reads --serving.",
)
@click.option(
    "--cloud",
    metavar="CLOUD",
    type=TEXT,
    help="Let the workflows log in to aws, azure or gcp by OIDC, on GitHub; on GitLab, aws or azure.",
)
@json_option
def init(
    directory: str,
    store: str | None,
    serving: str | None,
    forge: str,
    sets: tuple[tuple[str, str], ...],
    extras: tuple[str, ...],
    rings: tuple[str, ...],
    cloud: str | None,
) -> Answer:
    """Make a manifest repository in DIR, ready to push."""
    from pointsman.verbs import init as verb

    outcome = verb.init(
        directory, store=store, serving=serving, forge=forge, sets=sets, extras=extras, rings=rings, cloud=cloud
    )
    return Answer(outcome, lambda made: render(made, cloud))


def render(made: Made, cloud: str | None = None) -> str:
    """Where it is and what to do next."""
    from pointsman.forge.cloud import steps_of
    from pointsman.forge.open import KINDS

    forge = made.settings["forge"]["kind"]
    there = shlex.quote(made.directory)
    return "\n".join(
        [
            f"made a manifest repository in {made.directory}; blobs will stand in {made.settings['store']['url']}",
            *(step.replace("{there}", there) for step in KINDS[forge].steps),
            *KINDS[forge].by_hand,
            *(steps_of(cloud, forge) if cloud is not None else KINDS[forge].runner),
        ]
    )

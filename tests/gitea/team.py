"""The team of these tests: that of every forge, on this stand-in."""

from __future__ import annotations

from forge_team import BY_ITSELF, PUSHED, SETTINGS, outcomes
from forge_team import Team as AnyTeam

from gitea.hub import Hub

__all__ = ["BY_ITSELF", "PUSHED", "SETTINGS", "Team", "outcomes"]
Team = AnyTeam[Hub]

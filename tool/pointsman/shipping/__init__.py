"""From recorded artifacts to merged pull requests."""

"""GitHub: where it is, how it lets us in, its API, and pull requests there."""

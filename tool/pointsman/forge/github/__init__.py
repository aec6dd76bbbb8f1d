"""GitHub: its addresses, its tokens, its API, and pull requests there."""

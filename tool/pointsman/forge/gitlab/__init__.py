"""GitLab: its addresses, its tokens, its REST API (v4), and merge requests there."""

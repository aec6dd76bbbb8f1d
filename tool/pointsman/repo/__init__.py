"""A manifest repository: its refs, objects and history, read and written through git without a worktree."""

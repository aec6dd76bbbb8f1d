"""The pointers that serving reads: what they hold, the fence before them, and who is called after them."""

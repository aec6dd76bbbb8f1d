"""The pointers that serving reads, the fence that guards them, and the calls after they are written."""

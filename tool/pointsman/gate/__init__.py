"""The gate: may this change become current? It reads the facts that the rules need, and asks the rules."""

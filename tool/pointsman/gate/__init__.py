"""The gate: may this change be current? It reads what the rules need to know, and asks them."""

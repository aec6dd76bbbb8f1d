"""Rules: what must not be on main. One file for each. They read and write nothing."""

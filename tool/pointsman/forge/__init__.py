"""Pull requests on a forge: what is asked of every forge, and each forge's own way to do it."""

"""Pull requests on a forge: the interface of all forges, and the code for each."""

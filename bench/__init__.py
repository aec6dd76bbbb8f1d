"""`make bench`: what Pointsman costs, as ratios measured within one run."""

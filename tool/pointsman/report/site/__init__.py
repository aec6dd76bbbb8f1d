"""The pages of a site: what stands on them, and how it is drawn."""

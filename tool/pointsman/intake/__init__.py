"""What comes in from recsys-pipelines: staged artifacts, and a registry that it wrote."""

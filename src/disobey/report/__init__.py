"""What stands on the page of a study: read from tables, figures and manifests, never typed in."""

"""The content of a study's page, read from tables, figures and manifests."""

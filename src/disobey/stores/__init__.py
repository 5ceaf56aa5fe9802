"""Labelled files with manifests: the only thing that passes between stages."""

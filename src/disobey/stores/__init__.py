"""Labelled files with manifests: the only data that stages exchange."""

"""Benchmarks: `make bench` runs all of them, and each prints one table."""

"""Where a study stands: the state of its jobs, what is left of them, and how long that takes."""

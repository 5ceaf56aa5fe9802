"""The explorer: one page in which every example of a study can be looked at."""

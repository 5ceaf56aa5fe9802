"""The explorer: one page that shows every example of a study."""

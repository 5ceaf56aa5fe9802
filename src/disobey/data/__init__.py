"""Data sets: from a source to the arrays that models read."""

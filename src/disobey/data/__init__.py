"""From a source to arrays that a model can read."""

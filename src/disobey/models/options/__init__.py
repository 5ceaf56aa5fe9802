"""One module per kind of model: what a study file may say of it, its size and its work."""

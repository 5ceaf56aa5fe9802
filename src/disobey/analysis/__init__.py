"""Statistics of stored logits: numpy and xarray, no torch."""

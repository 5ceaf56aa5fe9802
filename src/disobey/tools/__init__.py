"""Commands to look around with; no rule calls them."""

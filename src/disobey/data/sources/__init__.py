"""One module per built-in source, each with ``load()``."""

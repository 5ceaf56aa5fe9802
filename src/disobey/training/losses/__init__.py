"""One module per loss, each with ``build(spec, targets)``."""

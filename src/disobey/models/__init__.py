"""One module per family, each with ``build(options, data)``; the options do not import torch."""

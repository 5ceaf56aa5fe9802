"""One module per figure, each with ``draw(analyses)``."""

"""One module per family, each with ``build(options, data)``; options without torch."""

"""One module per way in which a student sees its teacher, each with ``build(job, ...)``."""

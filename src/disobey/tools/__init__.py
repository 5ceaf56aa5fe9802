"""Commands to look around with; no rule calls them."""


def described(doc: str | None) -> str:
    """Return a module's docstring as a terminal shows it: without the marks of code."""
    return (doc or "").replace("``", "")

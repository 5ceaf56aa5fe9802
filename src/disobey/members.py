"""Which module registers a name."""


def member(registry: str, name: str) -> str:
    """Return the module that registers ``name`` under ``registry``, by naming convention.

    A convention and not a table, because a table would be a file that every stage imports: one
    more entry in it would make all results stale.

    Examples
    --------
    >>> member("data.sources", "cldr-langid")
    'disobey.data.sources.cldr_langid'
    """
    return f"disobey.{registry}.{name.replace('-', '_')}"

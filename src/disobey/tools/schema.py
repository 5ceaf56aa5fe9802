"""``python -m disobey schema``: print the JSON schema of study files, for editors."""

import json
from collections.abc import Sequence

from disobey.tools import argument_parser


def schema() -> str:
    """Return the JSON schema, generated from the pydantic models."""
    from disobey.study.models import Study

    content = Study.model_json_schema()
    for table in content["properties"].values():
        if "patternProperties" in table:  # or entries under a bad name would pass unread
            table["additionalProperties"] = False
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(dialect | content, indent=1) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print the schema."""
    argument_parser("schema", __doc__).parse_args(arguments)
    print(schema(), end="")
    return 0

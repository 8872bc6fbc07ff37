"""Names that are safe in paths."""

import re


def safe_name(name: str) -> str:
    """A name with everything but letters, digits and `._@+-` replaced, for use in paths."""
    return re.sub(r"[^\w.@+-]", "_", name)

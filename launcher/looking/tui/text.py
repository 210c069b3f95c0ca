"""Lines of the page, which are cut off at its edge."""

from rich.text import Text


def line(*parts: "str | tuple[str, str]") -> Text:
    """One line of texts, each alone or with its style."""
    return Text.assemble(*parts, no_wrap=True, overflow="crop")

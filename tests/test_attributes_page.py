"""The table of attributes in the documentation says what the code does."""

from __future__ import annotations

from tests.attribute_table import PAGE, page


def test_the_page_is_up_to_date() -> None:
    """The page is what ``tests/attribute_table.py`` would write."""
    assert PAGE.read_text(encoding="utf-8") == page()

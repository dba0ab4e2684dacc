"""The README says what is so."""

import re

import pytest

from zoo import files
from zoo.listing import in_readme

README = files.HERE.parent / "README.md"
pytestmark = pytest.mark.skipif(not README.is_file(), reason="needs a checkout")


def test_list_of_recipes_is_what_zoo_list_prints() -> None:
    """`make readme` renews it."""
    assert in_readme(README.read_text()) == README.read_text()


def test_files_that_it_names_exist() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / link).exists(), link

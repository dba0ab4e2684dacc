"""README and manual: the list of recipes and the links are correct."""

import re
from pathlib import Path

import pytest

from zoo import files
from zoo.listing import in_readme

README = files.HERE.parent / "README.md"
PAGES = [README, *sorted((files.HERE.parent / "docs").glob("*.md"))]
pytestmark = pytest.mark.skipif(not README.is_file(), reason="needs a checkout")


def test_list_of_recipes_is_what_zoo_list_prints() -> None:
    """`make readme` renews it."""
    assert in_readme(README.read_text()) == README.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        file, _, heading = link.partition("#")
        assert (page.parent / file).exists(), link
        headings = re.findall(r"^#+ (.+)$", (page.parent / file).read_text(), re.MULTILINE) if heading else []
        assert not heading or heading in [re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings]


def test_every_page_is_linked_from_the_readme() -> None:
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= set(re.findall(r"\]\(([^)]+)\)", README.read_text()))

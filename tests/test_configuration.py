"""`conf/README.md` is what the YAML files and the docstrings say."""

from analysis.configuration import FILE, text
from pglab.reference import entries


def test_the_page_is_up_to_date():
    assert FILE.read_text() == text(), "run: python -m analysis.configuration"


def test_every_group_choice_and_key_is_on_it():
    page = FILE.read_text()
    for entry in entries():
        name = entry.name.partition("=")[2] if entry.name.startswith("experiment=") else entry.name
        assert f"`{name}`" in page or f"## {name}\n" in page, entry.name

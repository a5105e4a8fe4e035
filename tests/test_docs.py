"""The documents name only files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "data/README.md")
FOLDERS = ("benchmarks", "configs", "docs", "posekit", "results", "tests", "tools")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_linked_files_exist(document):
    path = ROOT / document
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_exist(document):
    """Paths that start with a folder of the repository, such as configs/lspet/small.yaml; not placeholders such as tools/X.py."""
    text = (ROOT / document).read_text(encoding="utf-8")
    names = re.findall(rf"(?<![\w/.-])((?:{'|'.join(FOLDERS)})/[\w./*-]*\w)", text)
    assert document == "data/README.md" or names
    missing = [name for name in names if not list(ROOT.glob(name)) and not re.search(r"[/_][A-Z]+\b", name)]
    assert not missing

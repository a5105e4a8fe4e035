"""Shipped weights are small, hold no user's paths, have a model card, and are found by name."""

import pytest

from posekit.errors import WeightsError
from posekit.models import load_weights
from posekit.skeletons import LSP14
from posekit.tasks.person_finder.finder import CentresInfo
from posekit.weights import DEFAULT, FOLDER, PEOPLE, locate, shipped

MOST_MB = {"lspet-hg2": 16, "lspet-small": 4}


def test_the_default_is_shipped():
    assert DEFAULT in shipped()


@pytest.mark.parametrize("name", shipped())
def test_each_is_small_and_has_a_card_with_its_terms_of_use(name):
    assert locate(name).stat().st_size < MOST_MB[name] * 1e6
    model, info = load_weights(name)
    assert (info.skeleton, info.notes["name"]) == (LSP14, name)
    assert "research" in info.notes["terms"]
    card = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert info.notes["terms"] in card and "95 % intervals" in card and "root:" not in card
    assert f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} M" in card


def test_the_person_finder_is_small_and_has_a_card():
    assert PEOPLE.stem not in shipped() and PEOPLE.stat().st_size < 4e6
    _, info = load_weights(PEOPLE, info_class=CentresInfo)
    card = PEOPLE.with_suffix(".md").read_text(encoding="utf-8")
    assert "research" in info.notes["terms"] and info.notes["terms"] in card and "95 % intervals" in card and "root:" not in card


def test_a_file_of_the_same_name_takes_precedence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT).write_bytes(b"mine")
    assert locate(DEFAULT).read_bytes() == b"mine"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(WeightsError, match=f"lspet-huge: .*{DEFAULT}"):
        locate("lspet-huge")

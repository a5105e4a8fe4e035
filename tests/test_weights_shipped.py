"""What comes with posekit is small, free of the user's paths, has a card, and is found by its name."""

import pytest

from posekit.errors import WeightsError
from posekit.models import load_weights
from posekit.skeletons import LSP14
from posekit.tasks.person_finder.model import CentresInfo
from posekit.weights import DEFAULT, FOLDER, PEOPLE, locate, shipped

MOST_MB = {"lspet-hg2": 16, "lspet-small": 4}


def test_the_default_is_there():
    assert DEFAULT in shipped()


@pytest.mark.parametrize("name", shipped())
def test_each_is_small_and_has_a_card_that_says_what_it_may_be_used_for(name):
    assert locate(name).stat().st_size < MOST_MB[name] * 1e6
    model, info = load_weights(name)
    assert info.skeleton == LSP14 and info.notes["name"] == name and "research" in info.notes["terms"]
    card = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert info.notes["terms"] in card and "95 % intervals" in card and "root:" not in card
    assert f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} M" in card


def test_the_network_that_finds_people_is_small_and_has_a_card():
    assert PEOPLE.stem not in shipped() and PEOPLE.stat().st_size < 4e6
    _, info = load_weights(PEOPLE, info_class=CentresInfo)
    card = PEOPLE.with_suffix(".md").read_text(encoding="utf-8")
    assert "research" in info.notes["terms"] and info.notes["terms"] in card and "95 % intervals" in card and "root:" not in card


def test_a_file_of_that_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT).write_bytes(b"mine")
    assert locate(DEFAULT).read_bytes() == b"mine"


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(WeightsError, match=f"lspet-huge: no such weights file.*{DEFAULT}"):
        locate("lspet-huge")

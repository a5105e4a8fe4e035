import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from posekit.errors import OutputError, WeightsError
from posekit.models import ModelInfo, load_weights, read_info, save_weights, start_from
from posekit.skeletons import COCO17, LSP14, MPII16, Skeleton


def describe(**changes):
    fields = {
        "skeleton": LSP14,
        "input_size": 32,
        "stacks": 2,
        "features": 8,
        "depth": 2,
        "head": "sigmoid",
        "mean": (0.4, 0.5, 0.6),
        "std": (0.2, 0.25, 0.3),
        "notes": {"trained_on": "LSPET — été", "pck": 61.25, "epochs": 3, "ema": True, "card": None},
    }
    return ModelInfo(**fields | changes)


@pytest.fixture
def info():
    return describe()


@pytest.fixture
def model(info):
    torch.manual_seed(0)
    model = info.build().to(memory_format=torch.channels_last)
    model(torch.randn(4, 3, 32, 32))  # changes the running statistics
    return model


@pytest.fixture
def path(tmp_path, model, info):
    save_weights(tmp_path / "w.safetensors", model, info)
    return tmp_path / "w.safetensors"


def rewrite(path, *, change_tensors=lambda tensors: None, **metadata_changes):
    """Rewrite the file with other tensors or another description; a field set to None is left out."""
    description = json.loads(describe().to_json()) | metadata_changes
    text = json.dumps({name: value for name, value in description.items() if value is not None})
    tensors = load_file(path)
    change_tensors(tensors)
    save_file(tensors, path, metadata={"posekit": text})


def message(call, *arguments):
    with pytest.raises(WeightsError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_alone_rebuilds_model_and_description(path, model, info):
    loaded, loaded_info = load_weights(path)
    assert loaded_info == info == read_info(path)
    assert not loaded.training
    images = torch.randn(2, 3, 32, 32)
    expected = model.to(memory_format=torch.contiguous_format).eval()(images)[-1]
    assert torch.equal(loaded(images)[-1], expected)
    assert torch.equal(loaded.activate(torch.zeros(1)), torch.tensor([0.5]))


@pytest.mark.parametrize(
    "changes",
    [
        {"skeleton": COCO17, "head": "linear", "stacks": 1, "blocks": 2},
        {"stem": (4, 6, 6), "depth": 1},
        {"encoder": "efficientnet-lite0-short", "stacks": 1},
        {"skeleton": Skeleton("cat", ("nose", "tail"), (("nose", "tail"),)), "notes": {}},
    ],
)
def test_other_networks_and_skeletons_are_rebuilt(tmp_path, changes):
    info = describe(**changes)
    model = info.build().eval()
    save_weights(tmp_path / "w.safetensors", model, info)
    loaded, loaded_info = load_weights(str(tmp_path / "w.safetensors"))
    assert loaded_info == info
    assert torch.equal(loaded(torch.ones(1, 3, 32, 32))[-1], model(torch.ones(1, 3, 32, 32))[-1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_load_as_float32(path, model, dtype):
    def halve(tensors):
        tensors.update({name: tensor.to(dtype) for name, tensor in tensors.items() if tensor.is_floating_point()})

    rewrite(path, change_tensors=halve)
    loaded, _ = load_weights(path)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32, torch.int64}
    torch.testing.assert_close(loaded.outputs[0].weight, model.outputs[0].weight.detach().to(dtype).float(), atol=0, rtol=0)


def test_a_loaded_model_does_not_depend_on_its_file(path):
    loaded, _ = load_weights(path)
    before = loaded.outputs[0].weight.clone()
    path.write_bytes(b"")
    assert torch.equal(loaded.outputs[0].weight, before)


def test_notes_are_added_without_losing_others(info):
    changed = info.with_notes(pck=70.5, seed=1)
    assert changed.notes == {**info.notes, "pck": 70.5, "seed": 1}
    assert info.notes["pck"] == 61.25


@pytest.mark.parametrize("call", [load_weights, read_info])
@pytest.mark.parametrize("content", [b"", b"<html>404: not found</html>" * 40, slice(0, 5), slice(0, 2000), slice(0, -1)], ids=str)
def test_damaged_files(path, call, content):
    path.write_bytes(path.read_bytes()[content] if isinstance(content, slice) else content)
    assert message(call, path).startswith(f"{path}: ")


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "no.safetensors", tmp_path):
        assert message(load_weights, path).startswith(f"{path}: ")


class Bomb:
    def __reduce__(self):
        return os.abort, ()


def test_pickles_are_not_opened(tmp_path):
    torch.save({"weights": Bomb()}, tmp_path / "bomb.safetensors")
    assert message(load_weights, tmp_path / "bomb.safetensors").startswith(f"{tmp_path / 'bomb.safetensors'}: ")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_other_safetensors(path, metadata):
    save_file({"weight": torch.zeros(2)}, path, metadata=metadata)
    error = message(load_weights, path)
    assert error.startswith(f"{path}: ") and "'posekit'" in error


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"version": 2}, "2"),
        ({"version": None}, "KeyError: 'version'"),
        ({"features": None}, "features"),
        ({"colour": "red"}, "'colour'"),
        ({"stacks": "two"}, "stacks: "),
        ({"stacks": 0}, "stacks: "),
        ({"depth": True}, "depth: "),
        ({"features": 9}, "features: "),
        ({"input_size": 40}, "input_size: "),
        ({"head": "softmax"}, "'softmax'"),
        ({"mean": [0.5, 0.5]}, "mean: "),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean: "),
        ({"mean": ["a", "b", "c"]}, "TypeError"),
        ({"std": [0.5, 0.5, 0]}, "std: "),
        ({"std": 0.5}, "TypeError"),
        ({"stem": [4, 8]}, "stem: "),
        ({"skeleton": {"name": "x"}}, "skeleton"),
        ({"skeleton": 14}, "skeleton"),
        ({"notes": "none"}, "notes: "),
    ],
)
def test_damaged_descriptions(path, changes, problem):
    rewrite(path, **changes)
    error = message(load_weights, path)
    assert error.startswith(f"{path}: ")
    assert problem in error


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null"])
def test_texts_that_are_not_descriptions(path, text):
    save_file(load_file(path), path, metadata={"posekit": text})
    assert message(load_weights, path).startswith(f"{path}: ")


@pytest.mark.parametrize(
    "change, problem",
    [
        (lambda t: t.pop("outputs.1.bias"), "outputs.1.bias"),
        (lambda t: t.update(extra=torch.zeros(1)), "extra"),
        (lambda t: t.update({"outputs.1.bias": torch.zeros(16)}), "(16,)"),
        (lambda t: t.update({"outputs.1.bias": torch.zeros(14, dtype=torch.int32)}), "torch.int32"),
    ],
)
def test_tensors_that_do_not_fit(path, change, problem):
    rewrite(path, change_tensors=change)
    error = message(load_weights, path)
    assert error.startswith(f"{path}: ")
    assert problem in error


def test_another_models_description_is_not_written(tmp_path, model):
    with pytest.raises(ValueError, match="info: "):
        save_weights(tmp_path / "w.safetensors", model, describe(stacks=1))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(path, model, info, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"w\.safetensors: .*No space left on device") as caught:
        save_weights(path, model, info.with_notes(pck=99))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_folders_are_made_and_files_in_their_place_are_named(tmp_path, model, info):
    save_weights(tmp_path / "new" / "run" / "w.safetensors", model, info)
    assert read_info(tmp_path / "new" / "run" / "w.safetensors") == info
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/w\.safetensors"):
        save_weights(tmp_path / "file" / "w.safetensors", model, info)


@pytest.mark.parametrize(
    ("notes", "options"),
    [
        ({"sigma": 1.5, "subpixel": True, "epochs": 3}, {"sigma": 1.5, "subpixel": True}),
        ({"sigma": 2}, {"sigma": 2}),
        ({"sigma": "wide", "subpixel": 1}, {}),
        ({"sigma": 0.0}, {}),
        ({"sigma": float("nan")}, {}),
        ({}, {}),
    ],
)
def test_target_options_come_from_valid_notes(notes, options):
    assert describe(notes=notes).target_options == options


def test_training_can_start_from_weights_for_the_same_joints_or_others(tmp_path):
    torch.manual_seed(1)
    source = ModelInfo(LSP14, 64, 2, 8, 2, "sigmoid", (0.5,) * 3, (0.2,) * 3)
    trained = source.build()
    save_weights(tmp_path / "w.safetensors", trained, source, half=False)
    same = source.build()
    start_from(same, tmp_path / "w.safetensors", joints=LSP14.joints)
    assert all(torch.equal(a, b) for a, b in zip(same.state_dict().values(), trained.state_dict().values(), strict=True))
    info = replace(source, skeleton=MPII16)
    other = info.build()
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    start_from(other, tmp_path / "w.safetensors", joints=MPII16.joints)
    for name, tensor in other.state_dict().items():
        fresh = name.startswith(("outputs.", "merge_outputs."))
        assert torch.equal(tensor, before[name] if fresh else trained.state_dict()[name]), name


def test_training_cannot_start_from_another_network(tmp_path):
    source = ModelInfo(LSP14, 64, 2, 8, 2, "sigmoid", (0.5,) * 3, (0.2,) * 3)
    save_weights(tmp_path / "w.safetensors", source.build(), source)
    wide = replace(source, features=16, stem=None)
    with pytest.raises(WeightsError, match=re.escape(str(tmp_path / "w.safetensors"))):
        start_from(wide.build(), tmp_path / "w.safetensors", joints=LSP14.joints)

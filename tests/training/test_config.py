"""The configuration: what is accepted, and what the errors say."""

from pathlib import Path

import pytest

from posekit.errors import ConfigError
from posekit.lab.compare.plan import read_plan
from posekit.tasks import require_task, task_of_config
from posekit.tasks.pose.config import PoseConfig
from posekit.training.config_files import ConfigParser, write_config

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = """
data: {train: [{data: lsp, path: lspet}], valid: [{data: lsp, path: lsp, split: test}]}
model: {input_size: 128}
"""


def read(text, tmp_path, *overrides) -> PoseConfig:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    require_task(path, "train")
    return ConfigParser(PoseConfig).read(path, overrides)


def test_yaml_then_command_line_then_defaults(tmp_path):
    config = read(SMALL, tmp_path, "--model.stacks", "8", "--loss.name=bce", "--train.keep_epochs=[1, 300]")
    assert config.model.input_size == 128
    assert config.model.stacks == 8
    assert config.loss.name == "bce"
    assert config.loss.gamma == 2.0
    assert config.train.keep_epochs == [1, 300]
    assert config.data.valid[0].split == "test"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--train.epoch", "5"], r"train\.epoch.*did you mean train\.epochs\?"),
        (["--model.feature=5"], r"did you mean model\.features\?"),
        (["--train.epochs", "five"], r"train\.epochs.*Expected a <class 'int'>"),
        (["--train.epochs", "0"], r"train\.epochs: expected 1 or more, got 0"),
        (["--model.input_size", "100"], r"multiple of 64 \(4 \* 2\^depth\), got 100"),
        (["--model.encoder", "resnet"], "model.encoder: expected one of efficientnet-lite0, efficientnet-lite0-short, got"),
        (["--model.encoder", "efficientnet-lite0", "--model.depth", "2"], "model.depth: expected 3 or more, got 2"),
        (["--loss.name", "anchors"], "loss.name: expected one of anchor, bce, focal, mse"),
        (["--loss.name", "mse", "--loss.warmup_epochs", "2"], "linear"),
        (["--optimizer.schedule", "step"], "expected one of constant, paper, steps, cosine, onecycle"),
        (["--augment.scale", "1.0"], "below 1"),
        (["--train.ema", "1"], "below 1"),
        (["--train.keep_epochs=[1,0]"], r"train\.keep_epochs: expected epochs of 1 or more, got \[1, 0\]"),
        (["--seed=-1"], "seed: expected 0 or more, got -1"),
        (["--model.input_size", "64", "--train.batch_size", "1"], "2 or more"),
    ],
)
def test_wrong_overrides(tmp_path, overrides, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(SMALL, tmp_path, *overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL.replace("input_size", "input_sise"), "input_sise.*did you mean input_size"),
        (SMALL.replace("split", "splt"), "splt.*did you mean split"),
        (SMALL.replace("data: lsp, path: lspet", "data: flic, path: lspet"), "one of mpii, lsp, coco"),
        ("model: {stacks: 2}", "data.train: expected at least one data set"),
        ("model: [", "c.yaml"),
        ("just words", "c.yaml"),
        ("", "c.yaml: Unexpected config"),
        (SMALL + "train:", "c.yaml: train: expected keys below it; or leave it out"),
        (SMALL + "train: {epochs: }", "train.epochs: expected a value"),
        (SMALL + "loss: []", "loss: expected keys below it"),
        (SMALL + "train: {precision: no}", "train.precision.*put them in quotes"),
        ("base: b.yaml\nmodels: {A B: {loss: {name: mse}}}", "use posekit compare"),
        (SMALL + "out: runs/x", "'out' is not expected|does not accept|not accepted|out"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(text, tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: no such configuration file"):
        ConfigParser(PoseConfig).read(tmp_path / "none.yaml")


def test_written_configuration_reads_back_the_same(tmp_path):
    parser = ConfigParser(PoseConfig)
    (tmp_path / "c.yaml").write_text(SMALL)
    config = parser.read(tmp_path / "c.yaml", ["--seed", "7", "--optimizer.lr", "1e-4"])
    write_config(config, tmp_path / "resolved.yaml")
    again = parser.read(tmp_path / "resolved.yaml")
    assert again == config
    assert again.seed == 7
    assert again.optimizer.lr == 1e-4


@pytest.mark.parametrize("path", sorted((CONFIGS / "compare").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_comparisons_are_valid(path, tmp_path):
    plan = read_plan(path, tmp_path, [])
    assert len(plan.runs) >= len(plan.models) > 1 and plan.baselines


TRAINED = [path for path in CONFIGS.rglob("*.yaml") if path.parent.name != "compare" and path.name != "results.yaml"]


@pytest.mark.parametrize("path", sorted(TRAINED), ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path):
    config_class = task_of_config(path).load("config").CONFIG_CLASS
    assert ConfigParser(config_class).read(path).train.epochs > 0

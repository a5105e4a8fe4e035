"""Keys, overrides and errors of configuration files, and learning rates at known points."""

from pathlib import Path

import pytest
import yaml

from posekit.errors import ConfigError
from posekit.lab.compare.plan import read_plan
from posekit.tasks import require_task, task_of_config
from posekit.tasks.pose.config import PoseConfig
from posekit.training.config import OptimizerConfig, learning_rate
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
        (["--train.epochs", "five"], r"train\.epochs.*int.*five"),
        (["--train.epochs", "0"], r"train\.epochs.*got 0"),
        (["--model.input_size", "100"], r"model\.input_size.*64.*100"),
        (["--model.encoder", "resnet"], "model.encoder.*efficientnet-lite0, .*resnet"),
        (["--model.encoder", "efficientnet-lite0", "--model.depth", "2"], r"model\.depth.*3.*got 2"),
        (["--loss.name", "anchors"], r"loss\.name.*anchor, .*anchors"),
        (["--loss.name", "mse", "--loss.warmup_epochs", "2"], r"loss\.warmup_epochs.*mse"),
        (["--optimizer.schedule", "step"], r"optimizer\.schedule.*steps, .*'step'"),
        (["--augment.scale", "1.0"], r"augment\.scale.*1\.0"),
        (["--train.ema", "1"], r"train\.ema.*got 1"),
        (["--train.keep_epochs=[1,0]"], r"train\.keep_epochs.*\[1, 0\]"),
        (["--seed=-1"], "seed.*got -1"),
        (["--model.input_size", "64", "--train.batch_size", "1"], r"train\.batch_size.*got 1"),
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
        (SMALL.replace("data: lsp, path: lspet", "data: lspet, path: lspet"), "mpii, lsp, .*lspet"),
        ("model: {stacks: 2}", r"data\.train"),
        ("model: [", "c.yaml"),
        ("just words", "c.yaml"),
        ("", r"c\.yaml"),
        (SMALL + "train:", r"c\.yaml: train:"),
        (SMALL + "train: {epochs: }", r"train\.epochs:"),
        (SMALL + "loss: []", "loss:"),
        (SMALL + "train: {precision: no}", r"train\.precision.*quotes"),
        ("base: b.yaml\nmodels: {A B: {loss: {name: mse}}}", "posekit compare"),
        (SMALL + "out: runs/x", "out"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(text, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
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


def require_installed(config):
    """Skip configurations of a task whose folder was removed."""
    if not task_of_config(config).has("config"):
        pytest.skip(f"needs the task {task_of_config(config).name}")


@pytest.mark.parametrize("path", sorted((CONFIGS / "compare").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_comparisons_are_valid(path, tmp_path):
    require_installed(path.parent / yaml.safe_load(path.read_text())["base"])
    plan = read_plan(path, tmp_path, [])
    assert len(plan.runs) >= len(plan.models) > 1 and plan.baselines


TRAINED = [path for path in CONFIGS.rglob("*.yaml") if path.parent.name != "compare"]


@pytest.mark.parametrize("path", sorted(TRAINED), ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path):
    require_installed(path)
    config_class = task_of_config(path).load("config").CONFIG_CLASS
    assert ConfigParser(config_class).read(path).train.epochs > 0


@pytest.mark.parametrize(
    ("epoch", "factor"),
    # Section 4.2 of the paper: constant for 100 epochs, then multiplied alternately by 0.5 and 0.2, every 20 epochs.
    [(0, 1), (99.9, 1), (100, 0.5), (119.9, 0.5), (120, 0.1), (140, 0.05), (160, 0.01), (180, 0.005)],
)
def test_schedule_paper(epoch, factor):
    assert learning_rate(OptimizerConfig(schedule="paper", lr=1e-3), 200, epoch) == pytest.approx(1e-3 * factor)


@pytest.mark.parametrize(
    ("schedule", "epoch", "factor"),
    [
        ("constant", 7, 1.0), ("cosine", 0, 1.0), ("cosine", 5, 0.5), ("cosine", 10, 0.0),
        ("onecycle", 0, 0.04), ("onecycle", 3, 1.0), ("onecycle", 6.5, 0.5), ("onecycle", 10, 0.0),
    ],
)  # fmt: skip
def test_other_schedules(schedule, epoch, factor):
    assert learning_rate(OptimizerConfig(schedule=schedule, lr=2.0), 10, epoch) == pytest.approx(2 * factor, abs=1e-12)


@pytest.mark.parametrize(("epoch", "factor"), [(0, 1), (159.9, 1), (160, 0.1), (179.9, 0.1), (180, 0.01), (200, 0.01)])
def test_schedule_steps(epoch, factor):
    """Section 4.1 of the paper: multiplied by 0.1 after 160 and 180 epochs."""
    rate = learning_rate(OptimizerConfig(schedule="steps", lr=0.1, milestones=[160, 180]), 200, epoch)
    assert rate == pytest.approx(0.1 * factor)


@pytest.mark.parametrize(("epoch", "factor"), [(0, 0), (1, 0.2), (4.5, 0.9), (5, 1), (29, 1), (30, 0.1)])
def test_the_rate_rises_over_the_warm_up(epoch, factor):
    rate = learning_rate(OptimizerConfig(schedule="steps", lr=2.0, milestones=[30, 60], warmup_epochs=5), 90, epoch)
    assert rate == pytest.approx(2 * factor)


def test_the_rate_stays_after_the_last_epoch():
    assert learning_rate(OptimizerConfig(schedule="cosine", lr=1.0), 10, 12) == pytest.approx(0)

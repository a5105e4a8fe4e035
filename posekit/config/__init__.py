"""What can be configured: frozen dataclasses, each field documented and checked where it is declared.

A configuration is read from YAML and overridden on the command line (`--train.epochs 5`); see `posekit.cli.configuration`.
"""

from posekit.config.classifier import ClassifierConfig, ClassifierLossConfig, ClassifierModelConfig, ImagesConfig
from posekit.config.compare import CompareConfig
from posekit.config.detector import BackgroundsConfig, DetectorConfig, DetectorLossConfig, ScenesConfig, SizesConfig
from posekit.config.pose import (
    AugmentConfig,
    Config,
    DataConfig,
    LossConfig,
    ModelConfig,
    SourceConfig,
    SyntheticConfig,
    TargetsConfig,
)
from posekit.config.training import OptimizerConfig, TrainConfig

__all__ = [
    "AugmentConfig",
    "BackgroundsConfig",
    "ClassifierConfig",
    "ClassifierLossConfig",
    "ClassifierModelConfig",
    "CompareConfig",
    "Config",
    "DataConfig",
    "DetectorConfig",
    "DetectorLossConfig",
    "ImagesConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "ScenesConfig",
    "SizesConfig",
    "SourceConfig",
    "SyntheticConfig",
    "TargetsConfig",
    "TrainConfig",
]

"""The YAML configuration of `posekit compare`."""

from dataclasses import dataclass, field

from posekit.choices import DECODE_METHODS
from posekit.errors import choose, require


@dataclass(frozen=True)
class CompareConfig:
    """Models to train and compare.

    Parameters
    ----------
    base : str
        Path of the training configuration that all models start from, relative to the folder of the comparison's YAML file.
    models : dict of str to dict
        For each model, by the name shown in tables, the settings in which it differs from the base: nested keys of a training
        configuration.
    shared : dict
        Settings that replace those of the base in all models.
    seeds : list of int
        Random seeds; each model is trained once per seed.
    against : list of str
        Names of the baseline models; the results show how much every other model differs from each baseline.
    decode : str
        Method that decodes heatmaps to joints for the scores: quarter, dark or argmax. Validation during training always uses
        quarter.
    """

    base: str
    models: dict[str, dict]
    shared: dict = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    against: list[str] = field(default_factory=list)
    decode: str = "quarter"

    def __post_init__(self):
        require(bool(self.models), "models", self.models, "at least one model")
        for name in self.models:
            require(isinstance(name, str), "models", name, "a text as the model's name (put numbers, yes and no in quotes)")
        distinct = len(set(self.seeds)) == len(self.seeds)
        require(bool(self.seeds) and distinct, "seeds", self.seeds, "at least one seed, without duplicates")
        require(all(seed >= 0 for seed in self.seeds), "seeds", self.seeds, "integers of at least 0")
        choose("decode", self.decode, DECODE_METHODS)
        for name in self.against:
            require(name in self.models, "against", name, "one of the models: " + ", ".join(self.models))

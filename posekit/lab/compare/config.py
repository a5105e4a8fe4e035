"""Configuration of a comparison."""

from dataclasses import dataclass, field

from posekit.choices import DECODE_METHODS
from posekit.errors import choose, require


@dataclass(frozen=True)
class CompareConfig:
    """Models to train and compare.

    Parameters
    ----------
    base : str
        Training configuration that all models share; relative to the folder of the comparison's file.
    models : dict of str to dict
        Settings of each model by its name in tables: keys of a training configuration, nested.
    shared : dict
        Settings of all models, which replace those of the base.
    seeds : list of int
        Each model is trained once with each seed.
    against : list of str
        Names of the baselines, from which the other models' differences are shown.
    decode : str
        How heatmaps are decoded for the scores: quarter, dark or argmax (training validates by quarter).
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
            require(isinstance(name, str), "models", name, "names; put numbers, yes and no in quotes")
        distinct = len(set(self.seeds)) == len(self.seeds)
        require(bool(self.seeds) and distinct, "seeds", self.seeds, "at least one, each once")
        require(all(seed >= 0 for seed in self.seeds), "seeds", self.seeds, "numbers of 0 or more")
        choose("decode", self.decode, DECODE_METHODS)
        for name in self.against:
            require(name in self.models, "against", name, "names of models: " + ", ".join(self.models))

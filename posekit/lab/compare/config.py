"""What a comparison trains."""

from dataclasses import dataclass, field

from posekit.choices import DECODE_METHODS
from posekit.errors import choose, require


@dataclass(frozen=True)
class CompareConfig:
    """Which models are trained and compared.

    Parameters
    ----------
    base : str
        The training configuration that all share; a relative path starts from the folder of the comparison's file.
    models : dict of str to dict
        By the names that tables print, what sets each model apart: keys of a training configuration, nested as there.
    shared : dict
        Such keys that all models have in common, instead of the base's.
    seeds : list of int
        Each model is trained once with each.
    against : list of str
        Names of the models that the others' differences are told to.
    decode : str
        How heatmaps become joints where they are scored: quarter, dark or argmax (training validates by quarter).
    """

    base: str
    models: dict[str, dict]
    shared: dict = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    against: list[str] = field(default_factory=list)
    decode: str = "quarter"

    def __post_init__(self):
        require(bool(self.models), "models", self.models, "at least one model")
        named = all(isinstance(name, str) for name in self.models)
        require(named, "models", list(self.models), "names; put numbers, yes and no in quotes")
        require(bool(self.seeds) and len(set(self.seeds)) == len(self.seeds), "seeds", self.seeds, "at least one, each once")
        require(all(seed >= 0 for seed in self.seeds), "seeds", self.seeds, "numbers of 0 or more")
        unknown = [name for name in self.against if name not in self.models]
        choose("decode", self.decode, DECODE_METHODS)
        require(not unknown, "against", ", ".join(unknown), "names of models: " + ", ".join(self.models))

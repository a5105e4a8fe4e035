"""The public names of the package, which are imported at first use."""

import subprocess
import sys
from pathlib import Path

import pytest

import posekit


def test_dir_lists_the_public_names():
    assert set(posekit.__all__) <= set(dir(posekit))
    assert {"load", "Predictor", "Pose", "Box", "__version__"} <= set(posekit.__all__)
    assert all(getattr(posekit, name) is not None for name in posekit.__all__)


@pytest.mark.parametrize("name", ["Detector", "predictor_", "os.path"])
def test_unknown_names_are_attribute_errors(name):
    assert not hasattr(posekit, name)
    with pytest.raises(AttributeError, match=name):
        getattr(posekit, name)


def test_type_checkers_may_read_the_package():
    assert Path(posekit.__file__).with_name("py.typed").is_file()


def test_importing_the_package_does_not_load_torch():
    code = "import sys, posekit; dir(posekit); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

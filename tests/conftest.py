"""What the tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> None:
    """Models' ONNX forms go to a folder of the tests, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets; tests that need it are skipped only where the variable is unset."""
    folder = os.environ.get("POSEKIT_REAL_DATA")
    if not folder:
        pytest.skip("POSEKIT_REAL_DATA is not set: no real data on this machine")
    return Path(folder)

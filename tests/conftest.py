"""What the tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets; tests that need it are skipped only where the variable is unset."""
    folder = os.environ.get("POSEKIT_REAL_DATA")
    if not folder:
        pytest.skip("POSEKIT_REAL_DATA is not set: no real data on this machine")
    return Path(folder)

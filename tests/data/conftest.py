import pytest

from posekit.data import open_people


@pytest.fixture(scope="session")
def real_mpii_train(real_data):
    """MPII's training people, which take seconds to read; tests must not change them."""
    return open_people("mpii", real_data / "mpii", "train")

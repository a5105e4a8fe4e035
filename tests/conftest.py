"""What the tests share."""

import os
import shutil
from pathlib import Path

import pytest

pytest_plugins = ["tests.fixtures.figures", "tests.fixtures.mpii"]

if "PYTEST_XDIST_WORKER" in os.environ:  # a processor for each, not all for all
    os.environ.setdefault("OMP_NUM_THREADS", "1")


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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser without network that tells what its console says."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no chromium with chromedriver on this machine")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    profile = tmp_path_factory.mktemp("profile")
    flags = "headless=new no-sandbox disable-gpu no-first-run disable-background-networking disable-component-update disable-sync"
    for flag in (*flags.split(), "window-size=1280,800", f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as opened:
        yield opened

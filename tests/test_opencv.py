"""The error message if OpenCV's system library is missing."""

import subprocess
import sys

import pytest


@pytest.fixture
def run(tmp_path):
    """Run code in a Python whose cv2 cannot be imported."""
    (tmp_path / "cv2.py").write_text('raise ImportError("libGL.so.1: cannot open shared object file")')

    def run(code):
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    return run


def test_missing_system_library_names_the_package(run):
    error = run("import posekit.opencv").stderr
    assert "libGL.so.1" in error
    assert "apt-get install libgl1" in error
    assert "opencv-python-headless" in error


def test_a_command_reports_it_in_one_line(run):
    result = run("from posekit.cli.main import main; sys.exit(main(['predict', '--help']))")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "opencv-python-headless" in result.stderr

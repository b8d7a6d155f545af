"""The page on MLflow, from its first block to its last."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "howto-mlflow.md"
NEEDED = ("mlflow", "sqlalchemy", "alembic")
END = """
kinds = sorted({file.suffix for file in folder.rglob("*") if file.is_file()})
print(f"SAME {same} KINDS {' '.join(kinds)}")
"""


@pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="MLflow is not installed")
def test_a_logged_classifier_opens_with_the_same_predictions_and_without_pickles(tmp_path):
    # In a process of its own: MLflow keeps the store and the experiment for the whole process.
    code = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    given, own = tmp_path / "given", tmp_path / "own"
    given.mkdir()
    own.mkdir()
    paths = os.pathsep.join([str(PAGE.parents[1]), os.environ.get("PYTHONPATH", "")])
    env = {
        **os.environ,
        "PYTHONPATH": paths,
        "TMPDIR": str(given),
        "TEMP": str(given),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    run = subprocess.run(
        [sys.executable, "-c", "\n".join([*code, END])],
        cwd=own,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    found = run.stdout.partition("SAME ")[2].split()
    assert found[0] == "True"
    assert ".zip" in found
    assert not {".pkl", ".pickle", ".joblib"} & set(found)
    assert not any(own.iterdir()), "nothing is written into the working folder"

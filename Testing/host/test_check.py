"""`python -m SlicerHost check` names what is missing, in sentences."""

import os
import subprocess
import sys
from pathlib import Path

from SlicerHost import check

TESTING = Path(__file__).parents[1]


def run(*arguments, code=None):
    command = ["-c", code] if code else ["-m", "SlicerHost", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(TESTING)}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )


def test_all_is_there():
    result = run("check")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_missing_library_is_named_with_its_package():
    result = run(
        code="import sys; from SlicerHost import check; "
        "check._LIBRARIES = (check.Library('libAbsent.so.9', 'drawing', 'libabsent9'),); "
        "sys.argv[1:] = ['check']; import SlicerHost.__main__"
    )
    assert result.returncode == 1
    assert "libAbsent.so.9 (drawing) is missing" in result.stderr
    assert "sudo apt-get install --no-install-recommends libabsent9" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_python_package_is_named(monkeypatch):
    monkeypatch.setitem(check._PACKAGES, "absent_module", "absent-package")
    (sentence,) = check.problems()
    assert "absent-package is not installed" in sentence


def test_no_font_is_named(tmp_path):
    configuration = tmp_path / "fonts.conf"
    configuration.write_text(f"<fontconfig><dir>{tmp_path}</dir></fontconfig>", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(TESTING), "FONTCONFIG_FILE": str(configuration)}
    result = subprocess.run(
        [sys.executable, "-m", "SlicerHost", "check"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "No font is installed" in result.stderr
    assert "fonts-dejavu-core" in result.stderr


def test_another_word_is_refused():
    assert run("chek").returncode == 2

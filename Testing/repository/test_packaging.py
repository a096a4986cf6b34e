"""The lists that packagers read name every file of the module, and nothing that is not there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MODULE_FOLDER = REPOSITORY / "Med2E3Slicer"


def module_files() -> set[str]:
    """The module's files, as a clone has them."""
    if (REPOSITORY / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=MODULE_FOLDER,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        return {name for name in listed if (MODULE_FOLDER / name).exists()}
    return {
        str(path.relative_to(MODULE_FOLDER))
        for path in MODULE_FOLDER.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def cmake_list(name: str) -> list[str]:
    text = (MODULE_FOLDER / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(rf"set\({name}\s+(.*?)\)", text, re.DOTALL)
    assert found, f"CMakeLists.txt sets no {name}"
    lines = re.sub(r"#.*", "", found.group(1))
    return [entry.replace("${MODULE_NAME}", "Med2E3Slicer") for entry in lines.split()]


def test_cmake_names_every_file_once_and_no_other():
    scripts = cmake_list("MODULE_PYTHON_SCRIPTS")
    resources = cmake_list("MODULE_PYTHON_RESOURCES")
    listed = scripts + resources
    assert len(listed) == len(set(listed))
    files = module_files() - {"CMakeLists.txt"}
    assert set(listed) == files
    assert {name for name in files if name.endswith(".py")} == set(scripts)


def extension_setting(name: str) -> str:
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(rf'^set\({name} "(.*)"\)$', text, re.MULTILINE)
    assert found, f"CMakeLists.txt sets no {name} on one line"
    return found.group(1)


def test_the_extension_is_called_alike_everywhere():
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"^project\(Med2E3\b", text, re.MULTILINE)
    assert (REPOSITORY / "Med2E3.json").is_file()
    assert (REPOSITORY / "Med2E3.s4ext").is_file()
    assert "add_subdirectory(Med2E3Slicer)" in text


def test_the_catalogue_entry_has_the_schemas_fields_and_agrees_with_cmake():
    entry = json.loads((REPOSITORY / "Med2E3.json").read_text(encoding="utf-8"))
    required = {"$schema", "category", "scm_url"}
    optional = {
        "build_dependencies",
        "build_subdirectory",
        "enabled",
        "scm_revision",
        "scm_type",
        "tier",
        "dicom_support_rule",
    }
    assert required <= set(entry) <= required | optional
    assert entry["scm_url"].endswith("/SlicerMed2E3.git")
    assert entry["tier"] in range(1, 6)
    depends = extension_setting("EXTENSION_DEPENDS").split()
    assert entry["build_dependencies"] == [name for name in depends if name != "NA"]
    assert b"\r" not in (REPOSITORY / "Med2E3.json").read_bytes()


def test_the_older_description_agrees_too():
    lines = (REPOSITORY / "Med2E3.s4ext").read_text(encoding="utf-8").splitlines()
    pairs = dict(line.split(None, 1) for line in lines if " " in line and line[0] != "#")
    assert pairs["description"] == extension_setting("EXTENSION_DESCRIPTION")
    assert pairs["homepage"] == extension_setting("EXTENSION_HOMEPAGE")
    assert pairs["iconurl"] == extension_setting("EXTENSION_ICONURL")
    assert pairs["depends"] == extension_setting("EXTENSION_DEPENDS")
    assert pairs["screenshoturls"] == extension_setting("EXTENSION_SCREENSHOTURLS")


@pytest.mark.parametrize("name", ["EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"])
def test_the_pictures_that_cmake_names_are_in_the_repository(name):
    for url in extension_setting(name).split():
        inside = url.partition("/SlicerMed2E3/main/")[2]
        assert inside
        assert (REPOSITORY / inside).is_file()
        assert inside.endswith(".png")


def test_slicer_sees_one_module_in_the_folder():
    assert {path.name for path in MODULE_FOLDER.glob("*.py")} == {"Med2E3Slicer.py"}

"""Nobody's name is kept, and nobody is asked: marked series, fresh folders, a network cut off."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from pydicom.datadict import dictionary_VR

from volume.conftest import DicomSeries

TOPIC = "Privacy"
MARK = "MARKED"
TORCHS = "torchinductor_"
"""torch makes an empty folder of this name and the user's as it is imported."""

_LONGEST = {"SH": 16, "LO": 64, "PN": 64, "ST": 200, "LT": 200, "UT": 200, "CS": 16, "AE": 16}
"""Kinds of text that a person may have written, by their DICOM code."""


def marked_series(folder: Path) -> tuple[Path, int]:
    """A series whose texts that a person may have written are marked, and how many they are."""
    voxels = np.random.default_rng(0).normal(40, 200, (12, 32, 32)).astype(np.int16)
    tags = [
        "PatientName", "PatientID", "OtherPatientNames", "PatientBirthName", "PatientAddress",
        "PatientComments", "MilitaryRank", "EthnicGroup", "Occupation", "AdditionalPatientHistory",
        "PatientTelephoneNumbers", "PatientMotherBirthName", "MedicalRecordLocator", "StudyID",
        "AccessionNumber", "StudyDescription", "SeriesDescription", "ProtocolName",
        "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName",
        "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "RequestingPhysician",
        "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord", "RequestedProcedureDescription",
        "ImageComments", "DeviceSerialNumber", "AdmissionID", "IssuerOfPatientID",
    ]  # fmt: skip
    values = {
        tag: f"{MARK}{number}"[: _LONGEST[dictionary_VR(tag)]] for number, tag in enumerate(tags)
    }
    return DicomSeries(voxels).set(**values).write(folder), len(tags)


@pytest.fixture
def home(tmp_path) -> Path:
    """A user who has just come: no settings, no caches, an own folder for temporary files."""
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    return tmp_path


def environment(home: Path) -> dict[str, str]:
    names = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME", "MPLCONFIGDIR")
    inherited = {key: value for key, value in os.environ.items() if key not in names}
    return {
        **inherited,
        "HOME": str(home / "home"),
        "TMPDIR": str(home / "temporary"),
        "PYTHONUTF8": "1",
    }


class Watch:
    """Looks at the temporary folder and at a process's arguments while something runs."""

    def __init__(self, folder: Path) -> None:
        self.names: set[str] = set()
        self.open_to_others: set[str] = set()
        self.arguments: set[str] = set()
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for path in self._folder.rglob("*"):
                self.names.add(str(path.relative_to(self._folder)))
                # A file is private where its folder is.
                try:
                    mode = stat.S_IMODE(path.lstat().st_mode)
                    top = self._folder / path.relative_to(self._folder).parts[0]
                    if mode & 0o077 and stat.S_IMODE(top.lstat().st_mode) & 0o077:
                        self.open_to_others.add(path.name)
                except FileNotFoundError:
                    continue
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    if b"med2e3" in (line := path.read_bytes()):
                        self.arguments.add(line.decode(errors="replace"))
                except OSError:
                    continue


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="Linux tells arguments here")
def test_no_marked_name_is_kept(home, tried):
    series, tags = marked_series(home / "series")
    folders = home / "home", home / "temporary", home / "out"
    told = []
    # The last two fail: for a series that is not there, and for slices that are cut short.
    broken = Path(shutil.copytree(series, home / "broken"))
    for slice_ in broken.iterdir():
        slice_.write_bytes(slice_.read_bytes()[:-300])
    commands = [
        ["report", str(series), "--out", str(home / "out"), "--max-new-tokens", "4"],
        ["ask", str(series), "Is there a nodule?", "--max-new-tokens", "4", "--json"],
        ["report", str(series), "--series", "1.2.3.4"],
        ["report", str(broken)],
    ]
    with Watch(home / "temporary") as watch:
        for arguments in commands:
            ended = subprocess.run(
                [sys.executable, "-m", "med2e3", *arguments],
                env=environment(home), cwd=home, capture_output=True, text=True,
            )  # fmt: skip
            told.append(ended.stdout + ended.stderr)
            assert (ended.returncode == 0) == (len(told) <= 2), told[-1]
    kept = [path for folder in folders for path in folder.rglob("*")]
    assert [path for path in kept if path.is_file() and MARK.encode() in path.read_bytes()] == []
    for text in (*told, *map(str, kept), *watch.names, *watch.arguments):
        assert MARK not in text
    assert watch.arguments
    assert {name for name in watch.open_to_others if not name.startswith(TORCHS)} == set()
    left = list((home / "temporary").rglob("*"))
    assert [path for path in left if not path.name.startswith(TORCHS)] == []
    tried(
        TOPIC, f"a DICOM series with {tags} marked texts: report, question, two failures, on the "
        "command line", len(commands),
        "no mark in results, output, errors, arguments, temporary files or caches; nothing left",
    )  # fmt: skip


# -- the network -----------------------------------------------------------------------------------

CUT_OFF = ("unshare", "--map-root-user", "--net")


def can_be_cut_off() -> bool:
    return (
        shutil.which("unshare") is not None
        and subprocess.run([*CUT_OFF, "true"], capture_output=True).returncode == 0
    )


AUDIT = """
import os, sys

ASKING = ("connect", "sendto", "getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo")

def hear(event, arguments):
    if event in [f"socket.{name}" for name in ASKING]:
        with open(os.environ["HEARD"], "a") as file:
            file.write(f"{event} {arguments[1:]}\\n")

sys.addaudithook(hear)
"""

SESSION = """
import tempfile
from pathlib import Path

import numpy as np

from med2e3.wire import PROTOCOL_VERSION, messages
from worker_client import WorkerClient

client = WorkerClient(Path(tempfile.gettempdir()))
client.ask("initialize", messages.Initialize(PROTOCOL_VERSION))
client.ask("describe_machine", messages.DescribeMachine())
client.ask("load_model", messages.LoadModel())
volume = client.open_volume(np.random.default_rng(0).normal(0, 300, (12, 32, 32)).astype("i2"))
for question in ("", "Is there a nodule?"):
    kind = "answer" if question else "report"
    client.ask("generate", messages.Generate(volume.volume_id, kind, question, 4))
client.ask("shutdown", messages.Shutdown())
"""


@pytest.mark.skipif(not can_be_cut_off(), reason="this kernel gives no network namespaces to users")
def test_without_a_network_all_works_and_nobody_is_asked(home, tried):
    """Python's own events tell of each lookup and connection, also of those that fail."""
    (home / "audit").mkdir()
    (home / "audit" / "sitecustomize.py").write_text(AUDIT)
    heard = home / "heard"
    phantom = home / "phantom"
    med2e3 = (sys.executable, "-m", "med2e3")
    commands = [
        (*med2e3, "phantom", "--region", "chest", "--seed", "3", "--out", str(phantom)),
        (*med2e3, "report", str(phantom / "phantom.nrrd"), "--max-new-tokens", "4"),
        (*med2e3, "doctor"),
        (*med2e3, "model", "info"),
        (sys.executable, "-c", textwrap.dedent(SESSION)),
    ]
    testing = str(Path(__file__).parents[1])
    cut_off = {
        **environment(home),
        "PYTHONPATH": os.pathsep.join([str(home / "audit"), testing]),
        "HEARD": str(heard),
    }
    # Libraries that are told to stay offline would not show what they do by themselves.
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        cut_off.pop(name, None)
    for command in commands:
        ended = subprocess.run(
            [*CUT_OFF, *command], env=cut_off, cwd=home, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
    assert not heard.exists(), heard.read_text()

    download = (*med2e3, "model", "download", str(home / "model"), "--yes")
    ended = subprocess.run([*CUT_OFF, *download], env=cut_off, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "could not be reached" in ended.stderr
    assert heard.exists(), "the audit hears nothing at all"
    tried(
        TOPIC, "phantom, report, doctor, model info and a session of the worker, in a network "
        "namespace without interfaces", len(commands),
        "all works; no lookup, no connection is tried",
    )  # fmt: skip
    tried(TOPIC, "the download there", 1, "says that the hub could not be reached")

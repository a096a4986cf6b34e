"""The exchange folder: private, and removed whoever dies."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from med2e3.wire import exchange


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps access lists, not modes")
def test_only_the_owner_can_read_folder_and_file(tmp_path):
    folder = exchange.create_exchange_folder(str(tmp_path))
    file = exchange.create_private_file(folder, "voxels.npy")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_is_never_overwritten(tmp_path):
    folder = exchange.create_exchange_folder(str(tmp_path))
    exchange.create_private_file(folder, "voxels.npy")
    with pytest.raises(FileExistsError):
        exchange.create_private_file(folder, "voxels.npy")


def test_what_a_dead_process_left_is_removed_and_a_living_ones_stays(tmp_path):
    mine = exchange.create_exchange_folder(str(tmp_path))
    script = f"from med2e3.wire import exchange; exchange.create_exchange_folder({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert len(list(tmp_path.iterdir())) == 2
    exchange.remove_stale_exchange_folders(str(tmp_path))
    assert list(tmp_path.iterdir()) == [mine]


def test_no_other_folder_is_ever_removed(tmp_path):
    other = tmp_path / "med2e3-something"
    other.mkdir()
    exchange.remove_exchange_folder(other)
    exchange.remove_stale_exchange_folders(str(tmp_path))
    assert other.is_dir()
    assert not exchange.is_exchange_file(other / "voxels.npy")

"""Give each test its own keyring and home folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from file_keyring import FileKeyring, use


@pytest.fixture(autouse=True)
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the items of this test's keyring, also for the processes that the test starts."""
    folder = tmp_path / "keyring"
    folder.mkdir()
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "file_keyring.FileKeyring")
    monkeypatch.setenv("KEYRING_PROPERTY_FOLDER", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    use(FileKeyring)
    return folder

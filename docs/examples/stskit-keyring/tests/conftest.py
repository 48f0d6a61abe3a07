"""A keyring and a home of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from file_keyring import FileKeyring, use


@pytest.fixture(autouse=True)
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the keyring of this test keeps its items; the processes that it starts have the same one."""
    folder = tmp_path / "keyring"
    folder.mkdir()
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "file_keyring.FileKeyring")
    monkeypatch.setenv("KEYRING_PROPERTY_FOLDER", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    use(FileKeyring)
    return folder

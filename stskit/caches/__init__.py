"""Caches, which share credentials between recipes and processes."""

from stskit.caches.entry import entry_from_bytes, entry_to_bytes
from stskit.caches.file import FileCache
from stskit.caches.memory import MemoryCache

__all__ = ["FileCache", "MemoryCache", "entry_from_bytes", "entry_to_bytes"]

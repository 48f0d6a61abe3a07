"""The system's keyring as a source, a sink and a cache of stskit."""

from stskit_keyring.cache import KeyringCache
from stskit_keyring.sink import KeyringSink
from stskit_keyring.source import KeyringSource

__all__ = ["KeyringCache", "KeyringSink", "KeyringSource"]

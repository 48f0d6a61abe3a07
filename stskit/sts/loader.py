"""Load the data that botocore makes clients from: parsed once for all sessions, and only what STS needs.

For the first client of a session botocore parses 1.25 MB of endpoints and lists the folders of 400 services. That is a
fifth of the time in which a process gets its first credentials. The endpoint rules of the STS model and the list of
partitions contain everything that STS needs.
"""

from __future__ import annotations

import marshal
import re
from functools import lru_cache
from os.path import join
from typing import TYPE_CHECKING, Any, Final

from botocore.loaders import JSONFileLoader, Loader, create_loader

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["loader_for", "partitions", "regions", "sts_loader_for"]

_HOST: Final = "{service}.{region}.{dnsSuffix}"
_FIPS: Final = "{service}-fips.{region}.{dnsSuffix}"
_STS: Final[dict[str, dict[str, Any]]] = {  # where STS differs from the other services of a partition
    "aws": {"endpoints": {"aws-global": {"hostname": "sts.amazonaws.com", "credentialScope": {"region": "us-east-1"}}}},
    "aws-us-gov": {"endpoints": {}, "defaults": {"variants": [{"hostname": _HOST, "tags": ["fips"]}]}},
}


def loader_for(session: Session) -> Loader:
    """Return a loader of service models for one session, which returns copies of the data of botocore's own files.

    Each file is parsed once for all sessions, and a copy takes less than half of that time. A data path that is added
    to one session, or a model that is changed there, does not affect another session.
    """
    data_path = session.get_config_variable("data_path")
    paths = [*create_loader(data_path).search_paths]
    return _CopyingLoader(paths, file_loader=_CopyingFileLoader(), include_default_search_paths=False)


def sts_loader_for(session: Session) -> Loader:
    """Return a loader for a session that makes clients of STS only."""
    return _sts_loader(session.get_config_variable("data_path"))


@lru_cache(maxsize=1)
def partitions() -> dict[str, tuple[str, re.Pattern[str]]]:
    """Return the home region of each partition, and the pattern of its region names."""
    return {
        each["id"]: (each["outputs"]["implicitGlobalRegion"], re.compile(each["regionRegex"])) for each in _partitions()
    }


def regions() -> list[str]:
    """Return the names of all regions that the installed botocore knows."""
    return [name for each in _partitions() for name in each["regions"]]


def _partitions() -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = _sts_loader(None).load_data("partitions")["partitions"]
    return known


@lru_cache(maxsize=4)
def _sts_loader(data_path: str | None) -> Loader:
    return _STSLoader([*create_loader(data_path).search_paths], include_default_search_paths=False)


class _CopyingFileLoader(JSONFileLoader):
    """A file loader that parses each file of botocore once and returns copies. It reads other files each time."""

    def load_file(self, file_path: str) -> Any:
        if not file_path.startswith(join(Loader.BUILTIN_DATA_PATH, "")):
            return super().load_file(file_path)
        return marshal.loads(_parsed(file_path))  # noqa: S302 - of our own bytes


@lru_cache(maxsize=256)
def _parsed(file_path: str) -> bytes:
    return marshal.dumps(_plain(JSONFileLoader().load_file(file_path)))


def _plain(value: Any) -> Any:
    """Return *value* with each `OrderedDict` replaced by a `dict`, because marshal does not support the former."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


class _CopyingLoader(Loader):
    """A loader that lists the folders of botocore's services once for all sessions."""

    def list_available_services(self, type_name: str) -> list[str]:
        others = [path for path in self.search_paths if path != self.BUILTIN_DATA_PATH]
        found = Loader(others, include_default_search_paths=False).list_available_services(type_name)
        return sorted({*found, *_builtin_services(type_name)})


@lru_cache(maxsize=16)
def _builtin_services(type_name: str) -> tuple[str, ...]:
    builtin = Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    return tuple(builtin.list_available_services(type_name))


class _STSLoader(Loader):
    """A loader that knows STS only. It uses endpoints in a data path of the user as they are."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore passes it
        return ["sts"]

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        if name != "endpoints" or self._has_endpoints_of_the_user():
            return super().load_data_with_path(name)
        known = [_endpoints(each) for each in self.load_data("partitions")["partitions"]]
        return {"partitions": known}, join(self.BUILTIN_DATA_PATH, name)

    def _has_endpoints_of_the_user(self) -> bool:
        folders = (path for path in self.search_paths if path != self.BUILTIN_DATA_PATH)
        return any(self.file_loader.exists(join(folder, "endpoints")) for folder in folders)


def _endpoints(partition: dict[str, Any]) -> dict[str, Any]:
    """Return a partition in the format of ``endpoints.json``, with STS as its only service."""
    suffix, dual = partition["outputs"]["dnsSuffix"], partition["outputs"]["dualStackDnsSuffix"]
    variants = [
        {"hostname": _FIPS, "dnsSuffix": suffix, "tags": ["fips"]},
        {"hostname": _FIPS, "dnsSuffix": dual, "tags": ["dualstack", "fips"]},
        {"hostname": _HOST, "dnsSuffix": dual, "tags": ["dualstack"]},
    ]
    # in that format, a global region belongs to a service, not to the partition
    regional = {name: about for name, about in partition["regions"].items() if not name.endswith("-global")}
    return {
        "partition": partition["id"],
        "dnsSuffix": suffix,
        "regionRegex": partition["regionRegex"],
        "regions": regional,
        "defaults": {"hostname": _HOST, "protocols": ["https"], "signatureVersions": ["v4"], "variants": variants},
        "services": {"sts": _STS.get(partition["id"], {"endpoints": {}})},
    }

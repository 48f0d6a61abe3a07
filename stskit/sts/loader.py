"""The data that botocore makes clients from: parsed once for all sessions, and for STS no more than it takes.

For the first client of a session botocore parses 1.25 MB of endpoints and looks into the folders of 400 services: a
fifth of the time in which a process gets its first credentials. Where STS is, the rules that come with its model say;
what the endpoints say beside them, each partition tells as well.
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
_STS: Final[dict[str, dict[str, Any]]] = {  # where it is not what its partition says of all services
    "aws": {"endpoints": {"aws-global": {"hostname": "sts.amazonaws.com", "credentialScope": {"region": "us-east-1"}}}},
    "aws-us-gov": {"endpoints": {}, "defaults": {"variants": [{"hostname": _HOST, "tags": ["fips"]}]}},
}


def loader_for(session: Session) -> Loader:
    """Return a loader of service models for *session* alone, which gets copies of what botocore's own files hold.

    Each file is parsed once for all sessions, and a copy takes less than half of that time. A data path that is added
    to one session, or a model that is changed there, is not seen by another.
    """
    data_path = session.get_config_variable("data_path")
    paths = [*create_loader(data_path).search_paths]
    return _CopyingLoader(paths, file_loader=_CopyingFileLoader(), include_default_search_paths=False)


def sts_loader_for(session: Session) -> Loader:
    """The same for a session that makes clients of STS and of nothing else."""
    return _sts_loader(session.get_config_variable("data_path"))


@lru_cache(maxsize=1)
def partitions() -> dict[str, tuple[str, re.Pattern[str]]]:
    """The home region of each partition, and the form of the names of its regions."""
    return {
        each["id"]: (each["outputs"]["implicitGlobalRegion"], re.compile(each["regionRegex"])) for each in _partitions()
    }


def regions() -> list[str]:
    """The names of all regions that this botocore knows."""
    return [name for each in _partitions() for name in each["regions"]]


def _partitions() -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = _sts_loader(None).load_data("partitions")["partitions"]
    return known


@lru_cache(maxsize=4)
def _sts_loader(data_path: str | None) -> Loader:
    return _STSLoader([*create_loader(data_path).search_paths], include_default_search_paths=False)


class _CopyingFileLoader(JSONFileLoader):
    """Parses a file of botocore once, and returns a copy each time. Other files are read each time."""

    def load_file(self, file_path: str) -> Any:
        if not file_path.startswith(join(Loader.BUILTIN_DATA_PATH, "")):
            return super().load_file(file_path)
        return marshal.loads(_parsed(file_path))  # noqa: S302 - of our own bytes


@lru_cache(maxsize=256)
def _parsed(file_path: str) -> bytes:
    return marshal.dumps(_plain(JSONFileLoader().load_file(file_path)))


def _plain(value: Any) -> Any:
    """Return *value* with `dict` in the place of `OrderedDict`, which marshal does not know."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


class _CopyingLoader(Loader):
    """Looks once, for all sessions, into the folders of the services that come with botocore."""

    def list_available_services(self, type_name: str) -> list[str]:
        others = [path for path in self.search_paths if path != self.BUILTIN_DATA_PATH]
        found = Loader(others, include_default_search_paths=False).list_available_services(type_name)
        return sorted({*found, *_builtin_services(type_name)})


@lru_cache(maxsize=16)
def _builtin_services(type_name: str) -> tuple[str, ...]:
    builtin = Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    return tuple(builtin.list_available_services(type_name))


class _STSLoader(Loader):
    """Knows STS alone. Endpoints that the user has put into a data path are taken as they are."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - it is called with it
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
    """A partition, as `endpoints.json` has it, of which the only service is STS."""
    suffix, dual = partition["outputs"]["dnsSuffix"], partition["outputs"]["dualStackDnsSuffix"]
    variants = [
        {"hostname": _FIPS, "dnsSuffix": suffix, "tags": ["fips"]},
        {"hostname": _FIPS, "dnsSuffix": dual, "tags": ["dualstack", "fips"]},
        {"hostname": _HOST, "dnsSuffix": dual, "tags": ["dualstack"]},
    ]
    # there a global region is no region of the partition; where it belongs to a service, that lists it
    regional = {name: about for name, about in partition["regions"].items() if not name.endswith("-global")}
    return {
        "partition": partition["id"],
        "dnsSuffix": suffix,
        "regionRegex": partition["regionRegex"],
        "regions": regional,
        "defaults": {"hostname": _HOST, "protocols": ["https"], "signatureVersions": ["v4"], "variants": variants},
        "services": {"sts": _STS.get(partition["id"], {"endpoints": {}})},
    }

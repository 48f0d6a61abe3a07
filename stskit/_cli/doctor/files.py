"""Findings about the files of profiles, as botocore reads them, and about the folder of the cache.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import datetime
from shlex import quote
from typing import Any, Final, Literal

from attrs import field, frozen
from botocore.configloader import build_profile_map, raw_config_parse
from botocore.exceptions import ConfigParseError

from stskit._cli.doctor.findings import Facts, Finding, collect_warnings
from stskit._cli.formatting import format_list
from stskit._io import atomic
from stskit._time import instant
from stskit.caches.file import FileCache
from stskit.protocols import Clock
from stskit.sinks.file_edit import MAX_BYTES
from stskit.sources.profile.errors import line_of
from stskit.sources.proof_file import permission_problem

__all__ = ["SharedFile", "of_cache", "of_shared_file", "shared_file"]

_VARIABLES: Final = {"credentials": "AWS_SHARED_CREDENTIALS_FILE", "config": "AWS_CONFIG_FILE"}
_EXPIRY: Final = "x_security_token_expires"  # the name of saml2aws, which stskit writes as well
_SECTIONS: Final = ("preview", "plugins")  # of the config file, which are no profiles
_UNPARSED: Final = {
    "DuplicateSectionError": "begins a section that is there already",
    "DuplicateOptionError": "gives an option that its section has already",
    "MissingSectionHeaderError": "stands where the first [section] should",
    "ParsingError": "is neither a [section] nor `name = value`",
}


@frozen
class SharedFile:
    """The credentials or the config file. `sections` is what is in it; nothing where it is missing or has a `fault`."""

    kind: Literal["credentials", "config"]
    path: str
    is_there: bool = False
    sections: Mapping[str, Mapping[str, Any]] = field(factory=dict, repr=False)
    fault: Finding | None = None


def shared_file(kind: Literal["credentials", "config"]) -> SharedFile:
    """Read the file at the place where botocore looks for it."""
    variable, about = _VARIABLES[kind], f"{kind} file"
    path = os.path.expanduser(os.path.expandvars(os.environ.get(variable, f"~/.aws/{kind}")))
    facts: Facts = {"path": path}
    if path.startswith("~"):
        text = f"There is no home folder, and so no {about}"
        return SharedFile(kind, path, fault=Finding(about, "wrong", text, f"set HOME, or {variable}"))
    try:
        atomic.read(path, MAX_BYTES)  # botocore takes what it must not read for a file that is not there
    except (FileNotFoundError, NotADirectoryError):
        if not os.environ.get(variable):
            return SharedFile(kind, path)
        text, remedy = f"{variable} names {path}, which does not exist", "correct the variable, or unset it"
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}"
        remedy = "put a plain file there that you may read and write, with mode 600"
    else:
        return _parsed(kind, path)
    return SharedFile(kind, path, fault=Finding(about, "wrong", text, remedy, facts))


def of_shared_file(file: SharedFile, clock: Clock) -> Iterator[Finding]:
    """What is wrong with *file*, and what in it does not mean what it seems to."""
    about, facts = f"{file.kind} file", {"path": file.path}
    if file.fault:
        yield file.fault
        return
    if not file.is_there:
        yield Finding(about, "ok", f"There is no {file.path}, which only profiles need", facts=facts)
        return
    real, number = os.path.realpath(file.path), len(file.sections)
    link = f", which is a link to {real}," if os.path.islink(file.path) else ""
    text = f"{file.path}{link} can be read, and has {number} section{'s' * (number != 1)}"
    yield Finding(about, "ok", text, facts={**facts, "sections": number})
    yield from _of_mode(file, about, real)
    for text, remedy in _odd_in_credentials(file) if file.kind == "credentials" else _odd_in_config(file):
        yield Finding(about, "note", f"{file.path} has {text}", remedy, facts)
    now = clock.now()
    if ended := [name for name, options in file.sections.items() if _has_ended(options, now)]:
        text = f"The temporary keys in {file.path} have ended for: {format_list(ended)}"
        yield Finding(about, "note", text, "get new ones before you use these profiles", facts)


def of_cache() -> Finding:
    """Whether credentials can be kept where `stskit.caches.FileCache` keeps them."""
    cache = FileCache()
    about, facts = "cache folder", {"path": cache.folder}
    _, warned = collect_warnings(lambda: cache.get(""))
    if warned:
        remedy = "make it a folder of your own with mode 0700, or set XDG_CACHE_HOME"
        return Finding(about, "wrong", warned[0], remedy, facts)
    place = cache.folder
    while not os.path.exists(place):
        place = os.path.dirname(place)
    if not os.access(place, os.W_OK | os.X_OK):
        remedy = "give yourself the right to write there, or set XDG_CACHE_HOME"
        return Finding(about, "wrong", f"{cache.folder} cannot be used: {place} cannot be written to", remedy, facts)
    how = "can be used" if place == cache.folder else "does not exist yet, and will be made where it is needed"
    return Finding(about, "ok", f"{cache.folder} {how}", facts=facts)


def _parsed(kind: Literal["credentials", "config"], path: str) -> SharedFile:
    try:
        return SharedFile(kind, path, is_there=True, sections=raw_config_parse(path))
    except ConfigParseError as error:
        details: Any = error.kwargs
    problem = details["error"]  # it quotes the line, which may be a secret
    line, why = line_of(problem), _UNPARSED.get(type(problem).__name__)
    if isinstance(problem, UnicodeError):
        reason, remedy = "it is no text in UTF-8", "save it again as plain text"
    elif why is None or line is None:
        reason, remedy = "an indented line is no `name = value`", "correct that line, or take the blanks before it away"
    else:
        reason, remedy = f"its line {line} {why}", f"correct line {line}"
    text = f"{path} cannot be used by any AWS tool, for {reason}"
    fault = Finding(f"{kind} file", "wrong", text, remedy, {"path": path, "line": line or 0})
    return SharedFile(kind, path, is_there=True, fault=fault)


def _of_mode(file: SharedFile, about: str, real: str) -> Iterator[Finding]:
    mode, folder = stat.S_IMODE(os.stat(real).st_mode), os.path.dirname(real)
    above = stat.S_IMODE(os.stat(folder).st_mode)
    facts = {"path": file.path, "mode": f"{mode:03o}", "folder_mode": f"{above:03o}"}
    why = permission_problem(real)
    if mode & 0o022:
        why = "can be changed by other users"
    elif file.kind == "config" and "read" in why:
        why = ""  # it holds no secrets, and is often meant for all
    if why:
        yield Finding(about, "wrong", f"{real} {why}", f"make it yours alone: chmod 600 {quote(real)}", facts)
    if above & 0o022 and not above & stat.S_ISVTX:
        text = f"Other users can put another file in the place of {real}, since they may write to its folder"
        yield Finding(about, "wrong", text, f"make the folder yours alone: chmod 700 {quote(folder)}", facts)


def _odd_in_credentials(file: SharedFile) -> Iterator[tuple[str, str]]:
    if odd := [name for name in file.sections if name.startswith("profile ")]:
        name = odd[0].removeprefix("profile ").strip()
        yield f"[{odd[0]}], where the word profile is taken for a part of the name", f"write [{name}]"


def _odd_in_config(file: SharedFile) -> Iterator[tuple[str, str]]:
    for name in file.sections:
        if name not in _SECTIONS and not any(build_profile_map({name: {}}).values()):
            remedy = "write [profile NAME], with quotes around a name that has blanks"
            yield f"[{name}], which no AWS tool takes for a profile", remedy
    if {"default", "profile default"} <= file.sections.keys():
        text = "[default] and [profile default], of which some tools take the one and some the other"
        yield text, "keep [default] alone"


def _has_ended(options: Mapping[str, Any], now: datetime) -> bool:
    try:
        return instant(str(options.get(_EXPIRY)), zone_needed=False) <= now
    except ValueError:
        return False

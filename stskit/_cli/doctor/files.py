"""Examine the config file and the credentials file, as botocore reads them, and the cache folder.

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
_EXPIRY: Final = "x_security_token_expires"  # the name that saml2aws and stskit use
_SECTIONS: Final = ("preview", "plugins")  # sections of the config file that are not profiles
_UNPARSED: Final = {
    "DuplicateSectionError": "repeats a section",
    "DuplicateOptionError": "repeats an option of its section",
    "MissingSectionHeaderError": "comes before the first [section]",
    "ParsingError": "is neither a [section] nor `name = value`",
}


@frozen
class SharedFile:
    """The credentials file or the config file. It has no sections if it is missing or has a `fault`."""

    kind: Literal["credentials", "config"]
    path: str
    is_there: bool = False
    sections: Mapping[str, Mapping[str, Any]] = field(factory=dict, repr=False)
    fault: Finding | None = None


def shared_file(kind: Literal["credentials", "config"]) -> SharedFile:
    """Read the file that botocore reads."""
    variable, about = _VARIABLES[kind], f"{kind} file"
    path = os.path.expanduser(os.path.expandvars(os.environ.get(variable, f"~/.aws/{kind}")))
    facts: Facts = {"path": path}
    if path.startswith("~"):
        text = f"There is no home folder, so there is no {about}"
        return SharedFile(kind, path, fault=Finding(about, "wrong", text, f"Set HOME, or {variable}."))
    try:
        atomic.read(path, MAX_BYTES)  # botocore treats an unreadable file as a missing one
    except (FileNotFoundError, NotADirectoryError):
        if not os.environ.get(variable):
            return SharedFile(kind, path)
        text, remedy = f"{variable} names {path}, which does not exist", "Correct the variable, or unset it."
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}"
        remedy = "Replace it by a regular file of your own with mode 600."
    else:
        return _parsed(kind, path)
    return SharedFile(kind, path, fault=Finding(about, "wrong", text, remedy, facts))


def of_shared_file(file: SharedFile, clock: Clock) -> Iterator[Finding]:
    """Yield findings about a file: errors, permissions, and entries that tools read in another way than expected."""
    about, facts = f"{file.kind} file", {"path": file.path}
    if file.fault:
        yield file.fault
        return
    if not file.is_there:
        yield Finding(about, "ok", f"{file.path} does not exist. Only profiles need it", facts=facts)
        return
    real, number = os.path.realpath(file.path), len(file.sections)
    link = f", which is a link to {real}," if os.path.islink(file.path) else ""
    text = f"{file.path}{link} can be read, and has {number} section{'s' * (number != 1)}"
    yield Finding(about, "ok", text, facts={**facts, "sections": number})
    yield from _of_mode(file, about, real)
    for text, remedy in _misread_in_credentials(file) if file.kind == "credentials" else _misread_in_config(file):
        yield Finding(about, "note", f"{file.path} has {text}", remedy, facts)
    now = clock.now()
    expirations = {name: expiration_of(options) for name, options in file.sections.items()}
    if expired := [name for name, expiration in expirations.items() if expiration and expiration <= now]:
        text = f"Profiles in {file.path} with expired credentials: {format_list(expired)}"
        yield Finding(about, "note", text, "Get new credentials before you use these profiles.", facts)


def of_cache() -> Finding:
    """Return a finding about the folder of `stskit.caches.FileCache`."""
    cache = FileCache()
    about, facts = "cache folder", {"path": cache.folder}
    _, warned = collect_warnings(lambda: cache.get(""))
    if warned:
        remedy = "Make it a folder of your own with mode 0700, or set XDG_CACHE_HOME."
        return Finding(about, "wrong", warned[0], remedy, facts)
    place = cache.folder
    while not os.path.exists(place):
        place = os.path.dirname(place)
    if not os.access(place, os.W_OK | os.X_OK):
        remedy = "Get write permission for it, or set XDG_CACHE_HOME."
        return Finding(about, "wrong", f"{cache.folder} cannot be used: {place} is not writable", remedy, facts)
    how = "can be used" if place == cache.folder else "does not exist yet, and is created when it is needed"
    return Finding(about, "ok", f"{cache.folder} {how}", facts=facts)


def _parsed(kind: Literal["credentials", "config"], path: str) -> SharedFile:
    try:
        return SharedFile(kind, path, is_there=True, sections=raw_config_parse(path))
    except ConfigParseError as error:
        details: Any = error.kwargs
    problem = details["error"]  # the exception quotes the line, which may be a secret
    line, why = line_of(problem), _UNPARSED.get(type(problem).__name__)
    if isinstance(problem, UnicodeError):
        reason, remedy = "it is not UTF-8 text", "Save it again as plain text."
    elif why is None or line is None:
        reason, remedy = "an indented line is not `name = value`", "Correct the line, or remove its indentation."
    else:
        reason, remedy = f"line {line} {why}", f"Correct line {line}."
    text = f"AWS tools cannot read {path}: {reason}"
    fault = Finding(f"{kind} file", "wrong", text, remedy, {"path": path, "line": line or 0})
    return SharedFile(kind, path, is_there=True, fault=fault)


def _of_mode(file: SharedFile, about: str, real: str) -> Iterator[Finding]:
    mode, folder = stat.S_IMODE(os.stat(real).st_mode), os.path.dirname(real)
    above = stat.S_IMODE(os.stat(folder).st_mode)
    facts = {"path": file.path, "mode": f"{mode:03o}", "folder_mode": f"{above:03o}"}
    why = permission_problem(real)
    if mode & 0o022:
        why = "is writable by other users"
    elif file.kind == "config" and "read" in why:
        why = ""  # the config file contains no secrets
    if why:
        yield Finding(about, "wrong", f"{real} {why}", f"Run: chmod 600 {quote(real)}", facts)
    if above & 0o022 and not above & stat.S_ISVTX:
        text = f"Other users can replace {real}, because its folder is writable by them"
        yield Finding(about, "wrong", text, f"Run: chmod 700 {quote(folder)}", facts)


def _misread_in_credentials(file: SharedFile) -> Iterator[tuple[str, str]]:
    if odd := [name for name in file.sections if name.startswith("profile ")]:
        name = odd[0].removeprefix("profile ").strip()
        yield f"[{odd[0]}], and tools read the word profile as a part of the name", f"Write [{name}]."


def _misread_in_config(file: SharedFile) -> Iterator[tuple[str, str]]:
    for name in file.sections:
        if name not in _SECTIONS and not any(build_profile_map({name: {}}).values()):
            remedy = "Write [profile NAME], with quotes around a name that has spaces."
            yield f"[{name}], which AWS tools do not read as a profile", remedy
    if {"default", "profile default"} <= file.sections.keys():
        text = "[default] and [profile default], and AWS tools differ in which one they read"
        yield text, "Keep only [default]."


def expiration_of(options: Mapping[str, Any]) -> datetime | None:
    """Return the expiration that a profile has in the credentials file, or None. No AWS tool reads it."""
    try:
        return instant(str(options.get(_EXPIRY)), zone_needed=False)
    except ValueError:
        return None

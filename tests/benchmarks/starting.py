"""Areas 1 and 2: the cost of an import, and of the first credentials, for whole processes.

The figures are processor times, because nothing here waits.
"""

from __future__ import annotations

from functools import partial

from clients import SESSIONS
from fresh import Home, home
from measures import OURS, Measured, Setup, measured, turns
from stub import stub

MODULES = {
    OURS: "stskit",
    "attrs": "attrs",
    "botocore": "botocore.session",
    "boto3": "boto3",
    **{name: name.replace("-", "_") for name in SESSIONS},
    "boto-session-manager": "boto_session_manager.api",
    "aiobotocore": "aiobotocore.session",
}
HEAVY = ("botocore", "boto3", "urllib3", "dateutil", "ssl", "http")


def imports(setup: Setup) -> list[Measured]:
    area = "import"
    with home() as place:
        ways = {
            name: partial(place.by(setup.pythons.get(name)).processor_time, "-c", f"import {module}")
            for name, module in setup.present(MODULES).items()
        }
        ways["python -c pass"] = partial(place.processor_time, "-c", "pass")
        results = turns(ways, 2 if setup.quick else 5 * setup.rounds)
        total, heavy = loaded(place)
    return [
        *measured(area, "a process that imports it", "ms", results),
        Measured(area, "modules loaded then", OURS, "modules", [total]),
        Measured(area, "heavy ones among them", OURS, "modules", [heavy]),
    ]


def loaded(place: Home) -> tuple[int, int]:
    """Return the number of modules after importing stskit, and the number of slow ones."""
    code = f"import sys, stskit; print(len(sys.modules), sum(name in sys.modules for name in {HEAVY}))"
    total, heavy = place.run("-c", code).split()
    return int(total), int(heavy)


def cold_start(setup: Setup) -> list[Measured]:
    calls = {
        OURS: "cold_stskit()",
        "botocore": "cold_botocore()",
        "boto3": "cold_boto3()",
        **{name: f"cold_session({name!r})" for name in SESSIONS},
        "aiobotocore": "cold_aiobotocore()",
    }
    cli = ("-m", "awscli", "sts", "assume-role", "--role-arn", "arn:aws:iam::123456789012:role/R")
    with stub(0) as url, home(url) as place:
        ways = {
            name: partial(place.by(setup.pythons.get(name)).processor_time, "-c", f"import clients; clients.{call}")
            for name, call in setup.present(calls).items()
        }
        if "AWS CLI" not in setup.left_out:
            ways["AWS CLI"] = partial(place.processor_time, *cli, "--role-session-name", "me")
        results = turns(ways, 2 if setup.quick else 4 * setup.rounds)
    what = "a process that gets its first credentials"
    return measured("cold start", what, "ms", results)

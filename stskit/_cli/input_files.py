"""The old place of `read_credentials`, until doctor imports it from the new one."""

from stskit._cli.build import read_credentials as credentials_in

__all__ = ["credentials_in"]

"""Where credentials go: one file for each place."""

from stskit.sinks.credentials_file import CredentialsFile
from stskit.sinks.environment import Environment
from stskit.sinks.session import Boto3Session, BotocoreSession

__all__ = ["Boto3Session", "BotocoreSession", "CredentialsFile", "Environment"]

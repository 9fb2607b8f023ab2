"""What the commands that open a client have in common."""

import os
import platform
from importlib.metadata import version

from rocketmq import ClientConfiguration, Credentials, FilterExpression


class Unsupported(Exception):
    """The client has no way to do what a command says."""


def connection(command):
    """The connection: what a command leaves out stays as the client has it by default."""
    options = {}
    if "namespace" in command:
        options["namespace"] = command["namespace"]
    if "requestTimeoutMs" in command:
        options["request_timeout"] = seconds(command, "requestTimeoutMs")
    return ClientConfiguration(command["endpoints"], Credentials(), **options)


def encryption(command):
    """TLS, which is an argument of every client's own; plaintext is the client's default."""
    if "ca" in command:
        # The client itself has no option for it: it asks gRPC for the default roots, and gRPC looks at this variable. It does
        # so once in a process, so that the first client with TLS decides for all of them.
        os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = command["ca"]
    return {"tls_enable": command["ssl"]} if "ssl" in command else {}


def subscriptions(command):
    """Topics with their tag expressions."""
    return {topic: FilterExpression(tags) for topic, tags in command["subscriptions"].items()}


def seconds(command, name):
    """A duration. The client knows only whole seconds."""
    whole, rest = divmod(command[name], 1000)
    if rest:
        raise Unsupported(f"{name} of {command[name]}: the client takes whole seconds only")
    return whole


def versions():
    """The versions of the client and of Python."""
    return {"client": version("rocketmq-python-client"), "python": platform.python_version()}

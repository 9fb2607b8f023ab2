"""Starts clients."""

TRIES = 3


def started(make):
    """A client that has started.

    A client asks for routes while another of its threads opens its stream of telemetry. Where the machine has much to do, it may
    find that stream missing, and fails. Its start is the caller's to repeat, with a new client.
    """
    for left in reversed(range(TRIES)):
        client = make()
        try:
            client.startup()
            return client
        except AttributeError:
            if not left:
                raise
    return None

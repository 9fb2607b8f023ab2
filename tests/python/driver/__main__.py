"""Does with the official client what the lines on standard input say.

A line is an object with `id` and `do`; it is answered by one line with the same `id` and either `ok` or `error`. Commands
run side by side, so that answers come in the order in which they are ready. What a push consumer receives is reported by
lines with `event` instead of `id`. The end of the input ends the process.
"""

import json
import os
import sys
import threading

from driver import settings
from driver.client_log import to_standard_error
from driver.producers import Producers
from driver.push_consumers import PushConsumers
from driver.simple_consumers import SimpleConsumers
from driver.wire import Wire


def commands(wire):
    """What answers each command."""
    producers = Producers()
    push_consumers = PushConsumers(wire)
    simple_consumers = SimpleConsumers()
    return {
        "hello": lambda command: settings.versions(),
        "producer": producers.open,
        "send": producers.send,
        "close-producer": producers.close,
        "push-consumer": push_consumers.open,
        "close-push-consumer": push_consumers.close,
        "simple-consumer": simple_consumers.open,
        "receive": simple_consumers.receive,
        "ack": simple_consumers.ack,
        "change-invisible": simple_consumers.change_invisible,
        "close-simple-consumer": simple_consumers.close,
    }


def answer(wire, known, command):
    """Runs one command; whatever goes wrong in it is its answer."""
    try:
        execute = known.get(command["do"])
        if execute is None:
            raise ValueError(f"unknown command {command}")
        wire.ok(command["id"], execute(command))
    except BaseException as error:  # An answer is owed in any case.
        wire.error(command["id"], error)


def main():
    """Reads commands until there are no more."""
    wire = Wire()
    to_standard_error()
    known = commands(wire)
    for line in sys.stdin.buffer:
        threading.Thread(target=answer, args=(wire, known, json.loads(line)), daemon=True).start()
    # Clients left open must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()

"""Simple consumers; a received message is named by a number (`ref`) when it is settled."""

import itertools

from rocketmq import SimpleConsumer

from driver import messages, settings
from driver.named import Named
from driver.starting import started


class SimpleConsumers:
    """Opens simple consumers, receives with them, settles what came and closes them."""

    def __init__(self):
        self._consumers = Named()
        self._received = {}
        self._next_ref = itertools.count()

    def open(self, command):
        """Starts a simple consumer."""
        consumer = started(
            lambda: SimpleConsumer(
                settings.connection(command),
                command["group"],
                settings.subscriptions(command),
                settings.seconds(command, "awaitMs"),
                **settings.encryption(command),
            )
        )
        return self._consumers.put(command["name"], consumer)

    def receive(self, command):
        """Receives once; the messages stay known by their numbers."""
        consumer = self._consumers.of(command)
        views = []
        for message in consumer.receive(command["max"], settings.seconds(command, "invisibleMs")):
            ref = next(self._next_ref)
            self._received[ref] = message
            views.append({**messages.view(message), "ref": ref})
        return views

    def ack(self, command):
        """Acknowledges a message."""
        return self._consumers.of(command).ack(self._referred(command))

    def change_invisible(self, command):
        """Changes how long a message stays invisible from now on."""
        consumer = self._consumers.of(command)
        return consumer.change_invisible_duration(
            self._referred(command), settings.seconds(command, "invisibleMs")
        )

    def close(self, command):
        """Shuts a simple consumer down."""
        return self._consumers.close(command)

    def _referred(self, command):
        message = self._received.get(command["ref"])
        if message is None:
            raise ValueError(f"no message was received as {command['ref']}")
        return message

"""Push consumers; each message is reported when its handler begins, and again when it ends."""

import threading
import time
from collections import Counter

from rocketmq import ConsumeResult, MessageListener, PushConsumer

from driver import messages, settings
from driver.named import Named
from driver.starting import started


class PushConsumers:
    """Opens push consumers and closes them."""

    def __init__(self, wire):
        self._consumers = Named()
        self._wire = wire

    def open(self, command):
        """Starts a push consumer."""
        consumer = started(
            lambda: PushConsumer(
                settings.connection(command),
                command["group"],
                Listener(self._wire, command),
                settings.subscriptions(command),
                consumption_thread_count=command.get("threads", 8),
                **settings.encryption(command),
            )
        )
        return self._consumers.put(command["name"], consumer)

    def close(self, command):
        """Shuts a push consumer down."""
        return self._consumers.close(command)


class Listener(MessageListener):
    """Takes `holdMs` of time; fails attempts up to `failFirst`, of `failBody` only if there is one."""

    def __init__(self, wire, command):
        self._wire = wire
        self._command = command
        self._handlings = Counter()
        self._lock = threading.Lock()

    def consume(self, message):
        """Handles a message as the command that opened the consumer says."""
        name, command = self._command["name"], self._command
        view = messages.view(message)
        self._wire.event("received", name, view)
        time.sleep(command.get("holdMs", 0) / 1000)
        meant = command.get("failBody", view.get("body")) == view.get("body")
        fails = meant and self._attempt(message) <= command.get("failFirst", 0)
        self._wire.event("failed" if fails else "handled", name, view)
        return ConsumeResult.FAILURE if fails else ConsumeResult.SUCCESS

    def _attempt(self, message):
        """The number of this attempt.

        In a FIFO group the client handles a failed message again by itself and leaves the number in the message as it was, so
        that a listener that must know counts how often a delivery came to it.
        """
        with self._lock:
            self._handlings[message.receipt_handle] += 1
            return message.delivery_attempt + self._handlings[message.receipt_handle] - 1

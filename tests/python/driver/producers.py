"""Producers, and sending with them."""

from rocketmq import Producer

from driver import messages, settings
from driver.named import Named
from driver.starting import started


class Producers:
    """Opens producers, sends with them and closes them."""

    def __init__(self):
        self._producers = Named()

    def open(self, command):
        """Starts a producer."""
        if "maxAttempts" in command:
            raise settings.Unsupported("maxAttempts: the client takes the number of attempts from the broker")
        producer = started(
            lambda: Producer(
                settings.connection(command), command.get("topics"), **settings.encryption(command)
            )
        )
        return self._producers.put(command["name"], producer)

    def send(self, command):
        """Sends the messages one after the other, or all at once if the command says `async`."""
        producer = self._producers.of(command)
        built = map(messages.build, command["messages"])
        if command.get("async"):
            sends = [producer.send_async(message) for message in built]
            receipts = [send.result() for send in sends]
        else:
            receipts = [producer.send(message) for message in built]
        return [receipt.message_id for receipt in receipts]

    def close(self, command):
        """Shuts a producer down."""
        return self._producers.close(command)

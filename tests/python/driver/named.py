"""Open clients of one kind by the names the tests gave them."""

import threading


class Named:
    """Clients that have a `shutdown`, by name."""

    def __init__(self):
        self._clients = {}
        self._lock = threading.Lock()

    def put(self, name, client):
        """Keeps a client that has been started."""
        with self._lock:
            if name in self._clients:
                raise ValueError(f"there is a client named {name} already")
            self._clients[name] = client

    def of(self, command):
        """The client that a command names."""
        with self._lock:
            client = self._clients.get(command["name"])
        if client is None:
            raise ValueError(f"there is no client named {command['name']}")
        return client

    def close(self, command):
        """Shuts the client down that a command names."""
        client = self.of(command)
        with self._lock:
            self._clients.pop(command["name"], None)
        client.shutdown()

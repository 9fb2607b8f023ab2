"""The line-by-line way back to the tests."""

import json
import os
import threading


class Wire:
    """Keeps standard output for itself: what anything else prints goes to standard error."""

    def __init__(self):
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def ok(self, command_id, result):
        """Answers a command that went well."""
        self._write({"id": command_id, "ok": result})

    def error(self, command_id, error):
        """Answers a command that failed, with the kind of error and its text."""
        self._write({"id": command_id, "error": f"{type(error).__name__}: {error}"})

    def event(self, event, client, message):
        """Reports what happened to a message in a push consumer."""
        self._write({"event": event, "client": client, "message": message})

    def _write(self, line):
        text = json.dumps(line, ensure_ascii=False)
        with self._lock:
            self._out.write(text + "\n")
            self._out.flush()

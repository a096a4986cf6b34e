"""A signal in plain Python: PythonQt's ``qt.Signal`` can crash Slicer."""

import logging


class Signal:
    """Calls its listeners in the order in which they were connected.

    As in Qt, a listener that fails is logged and does not keep the others from hearing.
    """

    def __init__(self):
        self._listeners = []

    def connect(self, listener):
        self._listeners.append(listener)

    def disconnect(self, listener):
        self._listeners.remove(listener)

    def emit(self, *arguments):
        for listener in tuple(self._listeners):
            try:
                listener(*arguments)
            except Exception:
                logging.exception("A listener of Med2E3 failed.")

"""The faults that are told to the user, each as one sentence: what happened, to what, what to do."""


class Med2E3Error(Exception):
    """A fault that ends a request. Its message is one sentence for the user (exit status 1)."""


class InputError(Med2E3Error):
    """What the user gave cannot be used: a file, a setting, a question (exit status 2)."""


class Cancelled(Med2E3Error):
    """The user asked to stop before there was a result."""

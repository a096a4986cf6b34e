"""The command line, ``med2e3``: one module a command."""

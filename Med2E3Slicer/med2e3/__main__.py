"""``python -m med2e3``: the command line without an installed script, as Slicer starts it."""

from med2e3.command.main import main

if __name__ == "__main__":
    main()

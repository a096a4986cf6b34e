"""PySide6 with the manners of PythonQt, the binding that Slicer's Python sees Qt through.

`wrapper.wrapperClass` turns a class of PySide6, or a double written with it, into what PythonQt
would make of the C++ class of that name. Everything is asked of Qt's own meta objects; nothing here
knows a single widget.
"""

"""The engine on a server: the worker whose model is elsewhere.

Slicer starts ``python -m med2e3.remote`` instead of ``med2e3 worker`` and speaks the same wire with
it. This process needs nothing but Python and NumPy, so a machine without torch can use a server.

===================  =======================================================================
``__main__``         the process: what it is started with
``engine``           the wire's requests that need a model, sent to the server
``server``           one HTTP request and its answer, and each way in which that can fail
===================  =======================================================================
"""

"""Requests served: the story of one, and the worker that answers them for a client."""

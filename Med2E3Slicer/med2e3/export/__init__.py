"""A report as a document for others: DICOM objects beside its scan, or a PDF.

:mod:`~med2e3.export.dicom` and :mod:`~med2e3.export.pdf` each need a package that nothing else
does, so each is imported where it is asked for. Neither needs a model: an export is made from what
the reader has before them.
"""

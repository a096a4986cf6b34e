"""`slicer.i18n`: text goes through untranslated, as in an English Slicer."""

from __future__ import annotations

import types


def makeTranslationModule() -> types.ModuleType:
    module = types.ModuleType("slicer.i18n")
    module.tr = tr
    module.translate = translate
    return module


def tr(text: str) -> str:
    return text


def translate(context: str, text: str) -> str:
    return text

"""What people see: widgets that know the controller and no scene."""

from .workbench import Workbench

__all__ = ["Workbench"]

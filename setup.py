"""Packaging. `find_packages` does not see `twisted.plugins`: it has no `__init__.py`, rightly."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["overlayd", "overlayd.*"]), "twisted.plugins"])

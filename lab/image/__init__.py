"""The container image, built from the Dockerfile where no image can be pulled.

    python -m lab.image

builds it on a base that debootstrap makes, and prints where its files are.
"""

from lab.image.build import Image, NotBuilt, built, lacks

__all__ = ["Image", "NotBuilt", "built", "lacks"]

"""Build the image, if it is not there, and print where its files are."""

import sys

from lab.image.build import NotBuilt, build


def main() -> int:
    try:
        print(build().root)
    except NotBuilt as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
